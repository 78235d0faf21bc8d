import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { createHash, randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { SecretBox } from '../crypto/secret-box.js';
import type { Named } from '../identity-rules/judge.js';
import { IdentityRules } from '../identity-rules/identity-rules.service.js';
import { JobRunner } from '../jobs/job-runner.js';
import { Jobs } from '../jobs/jobs.service.js';
import type { Tasks } from '../jobs/tasks.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Challenges } from '../otp-devices/challenges.service.js';
import { Devices } from '../otp-devices/devices.service.js';
import { Methods } from '../otp-devices/methods/registry.js';
import { Problem } from '../problems/problem.js';
import { DestinationLimit } from '../throttling/destination-limit.js';
import { MessageGuard } from '../throttling/message-guard.js';
import { sendProblem, type SendPermission } from '../throttling/send-permission.js';
import { destinationOf } from '../users/destination.js';
import { parseIdentifier, type Identifier } from '../users/identity.js';
import type { User } from '../users/user.entity.js';
import { Users } from '../users/users.service.js';
import { insertLink, type LinkPurpose, type SentLinkPurpose } from './links.queries.js';

const PURPOSE = 'proof';
/** Seconds. */
const TTL: Record<LinkPurpose, number> = { magic_link: 600, password_reset: 1_800, printed_password_reset: 1_800 };
const PAGE: Record<LinkPurpose, string> = {
  magic_link: '/magic-link',
  password_reset: '/reset-password',
  printed_password_reset: '/reset-password',
};

/** A link, whose token is stored nowhere. */
export interface NewLink {
  url: string;
  expiresAt: Date;
}

/** What somebody who names an identifier may have sent to whoever owns it. */
type Wanted =
  | { purpose: 'code'; identifier: string; channel: 'email' | 'sms' | null; locale: string | null; ip: string }
  | { purpose: SentLinkPurpose; identifier: string; redirectTo: string | null };

/**
 * Codes and links that prove an identity by being received. The request only notes what is wanted, and a job looks up
 * who it is for: so the answer, its time and its limits are the same whether or not anybody has the identifier.
 */
@Injectable()
export class SentProofs implements OnModuleInit {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly jobs: Jobs,
    private readonly runner: JobRunner,
    private readonly rules: IdentityRules,
    private readonly users: Users,
    private readonly devices: Devices,
    private readonly challenges: Challenges,
    private readonly methods: Methods,
    private readonly destinationLimit: DestinationLimit,
    private readonly guard: MessageGuard,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
    private readonly box: SecretBox,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.runner.handle('send-proof', (job) => this.send(job));
  }

  /** @returns seconds until another message may be asked for */
  async requestCode(identifier: string, channel: 'email' | 'sms' | undefined, client: Client): Promise<number> {
    await this.requireAllowedIp(client);
    const { locale, ip } = client;
    return this.request({ purpose: 'code', identifier, channel: channel ?? null, locale, ip });
  }

  /** @throws Problem redirect_not_allowed */
  async requestMagicLink(identifier: string, redirectTo: string | undefined, client: Client): Promise<number> {
    await this.requireAllowedIp(client);
    // Compared as a whole: a prefix or a pattern would let `https://app.example.com.evil.com` pass.
    if (redirectTo !== undefined && !this.config.server.redirectAllowlist.includes(redirectTo)) {
      throw new Problem('redirect_not_allowed');
    }
    return this.request({ purpose: 'magic_link', identifier, redirectTo: redirectTo ?? null });
  }

  async requestPasswordReset(identifier: string, client: Client): Promise<number> {
    await this.requireAllowedIp(client);
    return this.request({ purpose: 'password_reset', identifier, redirectTo: null });
  }

  /** As part of a transaction, where somebody else asks for the user. */
  requestPasswordResetFor(tx: EntityManager, identifier: string): Promise<number> {
    return this.request({ purpose: 'password_reset', identifier, redirectTo: null }, tx);
  }

  /** For the account that this transaction has made; nothing where the destination had a message a moment ago. */
  async sendFirstCode(tx: EntityManager, identifier: string, { locale, ip }: Client): Promise<void> {
    await this.note(tx, { purpose: 'code', identifier, channel: null, locale, ip });
  }

  /** Told at once: where somebody asks from says nothing about who has an account. */
  private requireAllowedIp(client: Client): Promise<void> {
    return this.rules.requireAllowed('codes', { ip: client.ip }, client);
  }

  private async request(wanted: Wanted, db: EntityManager = this.db): Promise<number> {
    const permission = await db.transaction((tx) => this.note(tx, wanted));
    if (!permission.allowed) throw sendProblem(permission);
    return this.config.codes.resendCooldownSeconds;
  }

  private async note(tx: EntityManager, wanted: Wanted): Promise<SendPermission> {
    const destination = parseIdentifier(wanted.identifier)?.canonical ?? wanted.identifier.trim().toLowerCase();
    const permission = await this.destinationLimit.take(tx, destination);
    if (!permission.allowed) return permission;
    const id = uuidv7();
    await this.jobs.enqueue(tx, 'send-proof', { id, sealed: this.box.seal(JSON.stringify(wanted), PURPOSE, id) });
    return permission;
  }

  private async send({ id, sealed }: Tasks['send-proof']): Promise<void> {
    const wanted = JSON.parse(this.box.open(sealed, PURPOSE, id)) as Wanted;
    const parsed = parseIdentifier(wanted.identifier);
    const found = parsed && (await this.users.findByIdentifier(parsed));
    await this.db.transaction(async (tx) => {
      const user = found ? await this.users.lockActive(tx, found.id) : await this.newcomer(tx, wanted, parsed);
      const sent = user ? await this.sendTo(tx, user, wanted, parsed?.canonical ?? '') : false;
      await this.audit.record(tx, 'proof.requested', { userId: user?.id ?? null }, { purpose: wanted.purpose, sent });
    });
  }

  /** The account that a code creates where the operator wants that, and only through the address that was named. */
  private async newcomer(tx: EntityManager, wanted: Wanted, identifier: Identifier | null): Promise<User | null> {
    if (wanted.purpose !== 'code' || identifier === null) return null;
    const channel = identifier.kind === 'phone' ? 'sms' : 'email';
    if ((wanted.channel ?? channel) !== channel || !(await this.canReceive(channel, identifier.canonical))) return null;
    const named = namedBy(channel, identifier.canonical);
    if (!(await this.rules.allows('codes', named, tx))) return null;
    if (!(await this.rules.allows('registration', { ...named, ip: wanted.ip }, tx))) return null;
    return this.users.createOnFirstCode(tx, identifier, wanted.locale);
  }

  private async sendTo(tx: EntityManager, user: User, wanted: Wanted, asked: string): Promise<boolean> {
    const channel = channelOf(user, wanted, asked);
    const address = channel === 'sms' ? user.phoneNumber : user.emailCanonical;
    if (channel === null || address === null || !(await this.canReceive(channel, address))) return false;
    // Here and not in the request: like somebody unknown, who is refused is told nothing.
    if (!(await this.rules.allows('codes', namedBy(channel, address), tx))) return false;
    // A username names no destination; the one behind it has limits of its own.
    const destinationTaken = address === asked;
    if (!(await this.guard.take(tx, destinationOf(channel, address), { destinationTaken })).allowed) return false;
    if (wanted.purpose === 'code') {
      const device = await this.devices.ensureAddressDevice(tx, user, channel);
      await this.challenges.open(tx, device, 'first_factor', { permitted: true });
      return true;
    }
    if (channel === 'sms') {
      const device = await this.devices.ensureAddressDevice(tx, user, channel);
      await this.challenges.open(tx, device, 'reset', { permitted: true });
      return true;
    }
    await this.sendLink(tx, user, wanted.purpose, wanted.redirectTo);
    return true;
  }

  /** Text messages go out only where somebody sends them, and only to numbers that could be enrolled. */
  private async canReceive(channel: 'email' | 'sms', address: string): Promise<boolean> {
    if (channel === 'email') return true;
    const created = await this.methods.find('sms')?.create({ deviceId: '', phoneNumber: address, account: '' });
    return created?.ok === true;
  }

  private async sendLink(
    tx: EntityManager,
    user: User,
    purpose: SentLinkPurpose,
    redirectTo: string | null,
  ): Promise<void> {
    const { url, expiresAt } = await this.createLink(tx, user.id, purpose, redirectTo);
    const kind = purpose === 'magic_link' ? 'magic-link' : 'password-reset';
    await this.notifications.enqueue(
      tx,
      { kind, to: user.email ?? '', url, minutes: TTL[purpose] / 60 },
      { expiresAt, locale: user.locale, userId: user.id },
    );
  }

  /** A link without a message around it. */
  async createLink(
    tx: EntityManager,
    userId: string,
    purpose: LinkPurpose,
    redirectTo: string | null = null,
  ): Promise<NewLink> {
    const token = randomBytes(32).toString('base64url');
    const ttlSeconds = TTL[purpose];
    const tokenHash = linkHash(purpose, token);
    const { expiresAt } = await insertLink(tx, {
      id: uuidv7(),
      userId,
      purpose,
      tokenHash,
      redirectTo,
      ttlSeconds,
    });
    // Never from a request's Host header: a link in a mail must lead to us, whoever asked for it.
    const { frontendUrl, publicUrl } = this.config.server;
    const url = new URL(redirectTo ?? `${frontendUrl ?? publicUrl}${PAGE[purpose]}`);
    url.searchParams.set('token', token);
    return { url: url.href, expiresAt };
  }
}

function namedBy(channel: 'email' | 'sms', address: string): Named {
  return channel === 'sms' ? { phoneNumber: address } : { email: address };
}

/** 256 random bits need no keyed hash; the purpose in it keeps one link from passing for another. */
export function linkHash(purpose: LinkPurpose, token: string): Buffer {
  return createHash('sha256').update(`${purpose}\0${token}`).digest();
}

/**
 * A code: as wanted, else as the identifier suggests, else what the account has. Links go out by mail only; without a
 * mailbox a code lets choose a new password.
 */
function channelOf(user: User, wanted: Wanted, asked: string): 'email' | 'sms' | null {
  if (wanted.purpose === 'magic_link') return user.email === null ? null : 'email';
  if (wanted.purpose === 'code' && wanted.channel !== null) return wanted.channel;
  // A new password goes to the mailbox where there is one: a phone number changes hands more easily.
  if (wanted.purpose === 'password_reset' && user.email !== null) return 'email';
  if (asked === user.phoneNumber) return 'sms';
  if (user.email !== null) return 'email';
  return user.phoneNumber === null ? null : 'sms';
}
