import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Config } from '../config/config.js';
import { SecretBox } from '../crypto/secret-box.js';
import { IdentityRules } from '../identity-rules/identity-rules.service.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem } from '../problems/problem.js';
import { MessageGuard } from '../throttling/message-guard.js';
import { sendProblem, type RefusedSend, type SendPermission } from '../throttling/send-permission.js';
import { destinationOf } from '../users/destination.js';
import { Owners } from '../users/owners.service.js';
import { holdUser } from '../users/user.queries.js';
import type { ChallengePurpose } from './challenge.entity.js';
import {
  findChallengeState,
  insertChallenge,
  retargetChallenge,
  secondsUntilOneExpires,
  type ChallengeState,
} from './challenge.queries.js';
import { deviceStateOf } from './device-secret.js';
import type { Question } from './methods/method.js';
import { Methods } from './methods/registry.js';
import { channelOf, type OtpDevice } from './otp-device.entity.js';
import { closedBecause, type Answer } from './refusal.js';
import { Verifications } from './verifications.service.js';

export interface OpenedChallenge {
  challengeId: string;
  /** Seconds until it expires. */
  expiresIn: number;
  /** Whether a message goes out now; false where the device needs none, or where none may be sent. */
  codeSent: boolean;
  /** Why none may be sent, where the device needs one. */
  refused: RefusedSend | null;
  /** Seconds until another message may be asked for. */
  resendIn: number;
}

export interface OpenOptions {
  /** What was proved before the question. */
  firstFactor?: readonly string[];
  ttlSeconds?: number;
  /** The guard of messages has let it through already. */
  permitted?: boolean;
}

/** Makes challenges and sends what they ask for, for every method and every flow. */
@Injectable()
export class Challenges {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly methods: Methods,
    private readonly owners: Owners,
    private readonly rules: IdentityRules,
    private readonly guard: MessageGuard,
    private readonly notifications: Notifications,
    private readonly verifications: Verifications,
    private readonly box: SecretBox,
    private readonly config: Config,
  ) {}

  /**
   * Asks a device, under the user's lock. Where the guard refuses the message none is sent: the one who has the
   * password must not be able to flood a mailbox, or to earn by text messages.
   * @throws Problem too_many_code_tokens
   */
  async open(
    tx: EntityManager,
    device: OtpDevice,
    purpose: ChallengePurpose,
    { firstFactor = [], ttlSeconds = this.config.codes.ttlSeconds, permitted = false }: OpenOptions = {},
  ): Promise<OpenedChallenge> {
    const method = this.methods.get(device.type);
    const challengeId = uuidv7();
    const permission: SendPermission = permitted ? { allowed: true } : await this.permissionToSend(tx, device, purpose);
    const question: Question = permission.allowed
      ? await this.questionTo(tx, device, challengeId, purpose)
      : { codeHash: null, message: null };
    const inserted = await insertChallenge(
      tx,
      {
        id: challengeId,
        userId: device.userId,
        deviceId: device.id,
        purpose,
        firstFactor,
        codeHash: question.codeHash,
        ttlSeconds,
      },
      purpose === 'sign_in' ? this.config.codes.maxActive : null,
    );
    if (!inserted) {
      throw new Problem('too_many_code_tokens', { retryAfter: await secondsUntilOneExpires(tx, device.userId) });
    }
    await this.send(tx, device, challengeId, question, inserted);
    return {
      challengeId,
      expiresIn: ttlSeconds,
      codeSent: permission.allowed && method.sends,
      refused: permission.allowed ? null : permission,
      resendIn: permission.allowed ? this.cooldownOf(device) : permission.retryAfter,
    };
  }

  /**
   * Asks an open challenge again, the same device or another one. The earlier code is forgotten, the attempts and the
   * expiry are not: a new question is not a new chance.
   * @returns seconds until another message may be asked for
   * @throws Problem code_recently_sent, too_many_messages, messages_paused
   */
  async askAgain(tx: EntityManager, challengeId: string, device: OtpDevice): Promise<Answer<number>> {
    await holdUser(tx, device.userId);
    const state = await findChallengeState(tx, challengeId);
    if (!state) return { ok: false, refusal: { reason: 'unknown' } };
    const closed = closedBecause(state, this.config.codes);
    if (closed) return { ok: false, refusal: closed };
    const { purpose } = state;
    const permission = await this.permissionToSend(tx, device, purpose);
    if (!permission.allowed) throw sendProblem(permission);
    const question = await this.questionTo(tx, device, challengeId, purpose);
    if (!(await retargetChallenge(tx, challengeId, device.id, question.codeHash))) {
      return { ok: false, refusal: { reason: 'used' } };
    }
    await this.send(tx, device, challengeId, question, state);
    return { ok: true, value: this.cooldownOf(device) };
  }

  /** Where a challenge stands; null where there is none. */
  findState(challengeId: string): Promise<ChallengeState | null> {
    return findChallengeState(this.db, challengeId);
  }

  /**
   * What goes out for a challenge. Where somebody registers with an address that has an account its owner is told
   * instead, now and at every repetition, and no code is right: the answer does not tell which of both happened.
   */
  private async questionTo(
    tx: EntityManager,
    device: OtpDevice,
    challengeId: string,
    purpose: ChallengePurpose,
  ): Promise<Question> {
    const owner = purpose === 'registration' ? await this.owners.findOf(tx, device) : null;
    if (!owner) return this.methods.get(device.type).ask(deviceStateOf(device, this.box), { challengeId, purpose });
    await this.owners.tell(tx, owner, device.address);
    return { codeHash: null, message: null };
  }

  private async send(
    tx: EntityManager,
    device: OtpDevice,
    challengeId: string,
    { message, verification }: Question,
    { expiresAt, locale }: { expiresAt: Date; locale: string | null },
  ): Promise<void> {
    if (verification) return this.verifications.enqueue(tx, challengeId, verification.to, expiresAt);
    if (!message) return;
    await this.notifications.enqueue(tx, message, { expiresAt, locale, userId: device.userId });
  }

  /** The same where the owner of a number is told by mail instead: it must not be told apart by what is counted. */
  private async permissionToSend(
    tx: EntityManager,
    device: OtpDevice,
    purpose: ChallengePurpose,
  ): Promise<SendPermission> {
    if (device.address === null || !this.methods.get(device.type).sends) return { allowed: true };
    if (purpose === 'sign_in' && !(await this.mayReceive(tx, device, device.address))) {
      return { allowed: false, refusal: 'method_not_allowed', retryAfter: this.config.codes.ttlSeconds };
    }
    return this.guard.take(tx, destinationOf(channelOf(device), device.address), {
      newTo: purpose === 'confirm' ? device.userId : null,
    });
  }

  /**
   * The operator's list. A device that was confirmed goes on whatever the list says now; an address that was only named
   * may be one that a stranger earns by, whose own password would get round what is denied to him without one.
   */
  private async mayReceive(tx: EntityManager, device: OtpDevice, address: string): Promise<boolean> {
    if (device.confirmedAt !== null) return true;
    const named = channelOf(device) === 'sms' ? { phoneNumber: address } : { email: address };
    return this.rules.allows('codes', named, tx);
  }

  private cooldownOf(device: OtpDevice): number {
    return this.methods.get(device.type).sends ? this.config.codes.resendCooldownSeconds : 0;
  }
}
