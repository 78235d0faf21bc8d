import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { crashAt } from '../config/failpoints.js';
import { SecretBox } from '../crypto/secret-box.js';
import { IdentityRules } from '../identity-rules/identity-rules.service.js';
import type { Message } from '../notifications/messages.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem } from '../problems/problem.js';
import { MessageGuard } from '../throttling/message-guard.js';
import { sendProblem, type RefusedSend, type SendPermission } from '../throttling/send-permission.js';
import type { MethodType } from '../two-factor/policy.js';
import { destinationOf } from '../users/destination.js';
import { Owners } from '../users/owners.service.js';
import { markEmailVerified, markPhoneVerified } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import type { ChallengePurpose } from './challenge.entity.js';
import {
  consumeChallenge,
  FAILURES_BEFORE_DISABLED,
  FAILURES_BEFORE_PAUSE,
  findChallengeState,
  giveBackAttempt,
  insertChallenge,
  lockUser,
  retargetChallenge,
  secondsUntilOneExpires,
  spendAttempt,
  type ChallengeState,
  type SpentAttempt,
} from './challenge.queries.js';
import { DEVICE_SECRET } from './device-secret.js';
import type { DeviceNext, DeviceState, Question, Verdict } from './methods/method.js';
import { Methods } from './methods/registry.js';
import type { OtpDevice } from './otp-device.entity.js';
import { confirmDevice, lockDevice, storeProof } from './otp-device.queries.js';
import { hasUnusedCode, useCode } from './recovery-code.queries.js';
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

/** What was proved by a right answer. */
export interface Proof {
  userId: string;
  deviceId: string;
  type: MethodType;
  firstFactor: readonly string[];
}

export type Refusal =
  | { reason: 'unknown' | 'expired' | 'void' | 'used' | 'exhausted' | 'wrong' }
  | { reason: 'too_soon' | 'blocked'; retryAfter: number };

export type Answer<T> = { ok: true; value: T } | { ok: false; refusal: Refusal };

/** What the provider says who made a code; `exhausted` where it answers no more guesses. */
type RemoteVerdict = Verdict | { ok: false; reason: 'expired' | 'exhausted' };

/** What a stranger can ask for: its failures say nothing about the owner. */
const NOBODYS_YET: readonly ChallengePurpose[] = ['first_factor', 'reset', 'registration'];

/** Asks devices and checks their answers: locks, counts, stores and audits for every method and every flow. */
@Injectable()
export class Challenges {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly methods: Methods,
    private readonly users: Users,
    private readonly owners: Owners,
    private readonly rules: IdentityRules,
    private readonly guard: MessageGuard,
    private readonly notifications: Notifications,
    private readonly verifications: Verifications,
    private readonly audit: Audit,
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
    await lockUser(tx, device.userId);
    const state = await findChallengeState(tx, challengeId);
    if (!state) return { ok: false, refusal: { reason: 'unknown' } };
    const closed = this.closedBecause(state);
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

  /**
   * Charges an attempt, compares, and on a right answer does `act` in the transaction that consumes the challenge.
   * A wrong answer is returned, not thrown: an exception would roll back what was counted.
   */
  async answer<T>(
    challengeId: string,
    purpose: ChallengePurpose,
    code: string,
    client: Client,
    act: (tx: EntityManager, proof: Proof) => Promise<T>,
  ): Promise<Answer<T>> {
    const spent = await spendAttempt(this.db, challengeId, purpose, this.config.codes);
    if (!spent) return { ok: false, refusal: await this.findRefusal(challengeId, purpose) };
    crashAt('charged-but-not-checked');
    const remote = await this.askProvider(spent, code);
    return this.db.transaction(async (tx): Promise<Answer<T>> => {
      // The user before anything of his, here and everywhere: in two orders two requests could wait for each other.
      await lockUser(tx, spent.userId);
      const device = await lockDevice(tx, spent.deviceId);
      const verdict =
        device && !spent.disabled
          ? (remote ?? (await this.verdictOf(tx, device, spent, code)))
          : { ok: false as const, reason: 'disabled' };
      if (!device || !verdict.ok) {
        const reason = verdict.ok ? 'removed' : verdict.reason;
        await this.recordFailure(tx, spent, reason, client, device);
        return { ok: false, refusal: { reason: reason === 'exhausted' ? 'exhausted' : 'wrong' } };
      }
      if (!(await consumeChallenge(tx, challengeId))) return { ok: false, refusal: { reason: 'used' } };
      await this.store(tx, device, verdict.next, client);
      await this.afterProof(tx, device, spent.purpose);
      const { userId, deviceId, type, firstFactor } = spent;
      return { ok: true, value: await act(tx, { userId, deviceId, type, firstFactor }) };
    });
  }

  /** Where a challenge stands; null where there is none. */
  findState(challengeId: string): Promise<ChallengeState | null> {
    return findChallengeState(this.db, challengeId);
  }

  /** The device that a challenge asks; null where there is no such challenge. */
  async findDeviceId(challengeId: string): Promise<string | null> {
    return (await findChallengeState(this.db, challengeId))?.deviceId ?? null;
  }

  /** Why a challenge takes no attempt now. */
  async findRefusal(challengeId: string, purpose: ChallengePurpose): Promise<Refusal> {
    const state = await findChallengeState(this.db, challengeId);
    return state?.purpose === purpose ? this.refusalOf(state) : { reason: 'unknown' };
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
    if (!owner) return this.methods.get(device.type).ask(this.stateOf(device), { challengeId, purpose });
    await this.owners.tell(tx, owner, device.address);
    return { codeHash: null, message: null };
  }

  private refusalOf(state: ChallengeState): Refusal {
    const closed = this.closedBecause(state);
    if (closed) return closed;
    if (state.blockedSeconds !== null && state.blockedSeconds > 0) {
      return { reason: 'blocked', retryAfter: state.blockedSeconds };
    }
    const { retryWaitSeconds } = this.config.codes;
    const wait = retryWaitSeconds - (state.secondsSinceAttempt ?? retryWaitSeconds);
    return { reason: 'too_soon', retryAfter: Math.max(1, Math.ceil(wait)) };
  }

  /** Why nothing can be done with a challenge any more; null while it is open. */
  private closedBecause(state: ChallengeState): Refusal | null {
    const { maxAttempts } = this.config.codes;
    if (state.consumed) return { reason: 'used' };
    if (state.void) return { reason: 'void' };
    if (state.expired) return { reason: 'expired' };
    return maxAttempts !== null && state.attempts >= maxAttempts ? { reason: 'exhausted' } : null;
  }

  /**
   * What the provider says who made the code; null where it is ours. Asked outside of the transaction, which must not
   * wait for another company.
   */
  private async askProvider(spent: SpentAttempt, code: string): Promise<RemoteVerdict | null> {
    const method = this.methods.get(spent.type);
    if (spent.providerId === null || !method.checkRemotely) return null;
    const verdict = await method.checkRemotely(spent.providerId, code);
    switch (verdict) {
      case 'approved':
        return { ok: true, next: {} };
      case 'unavailable':
        // Nobody has learned anything, and another company's outage must not lock a device or use up a sign-in.
        await giveBackAttempt(this.db, spent);
        throw new Problem('unavailable', { retryAfter: 5 });
      case 'exhausted':
      case 'expired':
      case 'wrong':
        return { ok: false, reason: verdict };
    }
  }

  private async verdictOf(tx: EntityManager, device: OtpDevice, spent: SpentAttempt, code: string): Promise<Verdict> {
    const verdict = this.methods.get(device.type).verify(this.stateOf(device), spent, code, spent.now);
    if (!verdict.ok || !verdict.next.recoveryCodeHashes) return verdict;
    const unused = await hasUnusedCode(tx, device.id, verdict.next.recoveryCodeHashes);
    return unused ? verdict : { ok: false, reason: 'wrong' };
  }

  private async store(tx: EntityManager, device: OtpDevice, next: DeviceNext, client: Client): Promise<void> {
    // The device is locked, so nobody can have been quicker.
    if (!(await storeProof(tx, device.id, next.lastStep ?? null)))
      throw new Error('A locked device lost its time step');
    if (!next.recoveryCodeHashes) return;
    const used = await useCode(tx, device.id, next.recoveryCodeHashes);
    if (!used) throw new Error('A locked sheet lost a recovery code');
    await this.audit.record(tx, 'recovery-code.used', { userId: device.userId, client }, { left: used.left });
    await this.tell(tx, device.userId, (to) => ({ kind: 'recovery-code-used', to, codesLeft: used.left }));
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

  private async recordFailure(
    tx: EntityManager,
    spent: SpentAttempt,
    reason: string,
    client: Client,
    device: OtpDevice | null,
  ): Promise<void> {
    const { userId, deviceId, type, failures } = spent;
    await this.audit.record(tx, 'second-factor.failed', { userId, client }, { method: type, reason, failures });
    if (NOBODYS_YET.includes(spent.purpose)) return;
    // Once in a row of failures each, not at every one: whoever guesses must not be able to flood the owner's mailbox.
    if (failures === FAILURES_BEFORE_PAUSE) await this.tell(tx, userId, (to) => ({ kind: 'wrong-codes', to }));
    if (failures !== FAILURES_BEFORE_DISABLED) return;
    await this.audit.record(tx, 'device.disabled', { userId, client }, { deviceId, method: type });
    const deviceName = device?.name ?? '';
    await this.tell(tx, userId, (to) => ({ kind: 'device-disabled', to, deviceType: type, deviceName }));
  }

  /** By mail, where the user has an address. */
  private async tell(tx: EntityManager, userId: string, messageTo: (email: string) => Message): Promise<void> {
    const user = await this.users.findActive(userId, tx);
    if (user?.email) await this.notifications.enqueue(tx, messageTo(user.email), { locale: user.locale, userId });
  }

  /** The account's own address is proved by the first code that comes back from it. */
  private async afterProof(tx: EntityManager, device: OtpDevice, purpose: ChallengePurpose): Promise<void> {
    if (device.address === null) return;
    await this.guard.forgive(tx, { channel: channelOf(device), to: device.address });
    if (device.confirmedAt !== null) return;
    if (device.type === 'email') await markEmailVerified(tx, device.userId, device.address);
    if (device.type === 'sms') await markPhoneVerified(tx, device.userId, device.address);
    // The account's own address needs no enrollment; what a user adds is confirmed by its own route.
    if (purpose !== 'confirm') await confirmDevice(tx, device.id);
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

  private stateOf(device: OtpDevice): DeviceState {
    return {
      id: device.id,
      address: device.address,
      secret: device.sealedSecret === null ? null : this.box.open(device.sealedSecret, DEVICE_SECRET, device.id),
      lastStep: device.lastStep === null ? null : Number(device.lastStep),
    };
  }
}

/** What an address belongs to. */
function channelOf({ type }: OtpDevice): 'email' | 'sms' {
  return type === 'sms' ? 'sms' : 'email';
}

/** What a caller is told about an attempt that did not succeed. */
export function problemOf(refusal: Refusal): Problem {
  switch (refusal.reason) {
    case 'unknown':
      return new Problem('invalid_token');
    case 'expired':
    case 'void':
      return new Problem('token_expired');
    case 'used':
      return new Problem('token_already_used');
    case 'exhausted':
      return new Problem('too_many_attempts');
    case 'wrong':
      return new Problem('invalid_code');
    case 'too_soon':
      return new Problem('retry_too_soon', { retryAfter: refusal.retryAfter });
    case 'blocked':
      return new Problem('too_many_failures', { retryAfter: refusal.retryAfter });
  }
}
