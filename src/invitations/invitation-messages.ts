import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { maskEmail, maskPhone } from '../notifications/mask.js';
import { Notifications } from '../notifications/notifications.service.js';
import { MessageGuard } from '../throttling/message-guard.js';
import { sendProblem } from '../throttling/send-permission.js';
import { destinationOf } from '../users/destination.js';
import { nameOf } from './inviter-name.js';
import type { Invitation } from './invitations.queries.js';

const SENT = {
  detail: 'A message went to this address a moment ago, or too many did. Wait as long as Retry-After says.',
};

/** What is written to those who are invited, and to those who invited them. */
@Injectable()
export class InvitationMessages {
  constructor(
    private readonly guard: MessageGuard,
    private readonly notifications: Notifications,
    private readonly config: Config,
  ) {}

  /**
   * The address shares one limit with every other message to it, so that invitations are no way to flood somebody.
   * @throws Problem code_recently_sent, too_many_messages, messages_paused
   */
  async send(tx: EntityManager, invitation: Invitation, token: string): Promise<void> {
    const { address, email, expiresAt, locale, redirectTo, message } = invitation;
    const destination = destinationOf(email === null ? 'sms' : 'email', address);
    const permission = await this.guard.take(tx, destination, { answerable: false });
    if (!permission.allowed) throw sendProblem(permission, permission.refusal === 'code_recently_sent' ? SENT : {});
    const { frontendUrl, publicUrl } = this.config.server;
    // Never from a request's Host header: a link of ours must lead to us, whoever asked for it.
    const link = new URL(redirectTo ?? `${frontendUrl ?? publicUrl}/invitation`);
    link.searchParams.set('token', token);
    const until = `${expiresAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
    const inviter = invitation.inviter ? nameOf(invitation.inviter) : '';
    await this.notifications.enqueue(
      tx,
      email === null
        ? { channel: 'sms', kind: 'invitation', to: address, url: link.href, until }
        : { kind: 'invitation', to: email, inviter, message, url: link.href, until },
      { expiresAt, locale },
    );
  }

  /** Not counted against the inviter's address: what others accept must not use up the codes that he needs himself. */
  async tellInviter(tx: EntityManager, { inviterId, inviter, address, email }: Invitation): Promise<void> {
    if (!inviter?.email) return;
    const masked = email === null ? maskPhone(address) : maskEmail(address);
    await this.notifications.enqueue(
      tx,
      { kind: 'invitation-accepted', to: inviter.email, address: masked },
      { locale: inviter.locale, userId: inviterId },
    );
  }
}
