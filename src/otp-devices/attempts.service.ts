import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { crashAt } from '../config/failpoints.js';
import { SecretBox } from '../crypto/secret-box.js';
import type { Notice } from '../notifications/messages.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem } from '../problems/problem.js';
import { MessageGuard } from '../throttling/message-guard.js';
import type { MethodType } from '../two-factor/policy.js';
import { holdUser, markEmailVerified, markPhoneVerified } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import type { ChallengePurpose } from './challenge.entity.js';
import {
  consumeChallenge,
  FAILURES_BEFORE_DISABLED,
  FAILURES_BEFORE_PAUSE,
  findChallengeState,
  giveBackAttempt,
  spendAttempt,
  type SpentAttempt,
} from './challenge.queries.js';
import { deviceStateOf } from './device-secret.js';
import type { DeviceNext, Verdict } from './methods/method.js';
import { Methods } from './methods/registry.js';
import { channelOf, type OtpDevice } from './otp-device.entity.js';
import { confirmDevice, lockDevice, storeProof } from './otp-device.queries.js';
import { hasUnusedCode, useCode } from './recovery-code.queries.js';
import { refusalOf, type Answer, type Refusal } from './refusal.js';

/** What the provider says who made a code; `exhausted` where it answers no more guesses. */
type RemoteVerdict = Verdict | { ok: false; reason: 'expired' | 'exhausted' };

/** What a stranger can ask for: its failures say nothing about the owner. */
const NOBODYS_YET: readonly ChallengePurpose[] = ['first_factor', 'reset', 'registration'];

/** What a right answer to a challenge proves. */
export interface Proof {
  userId: string;
  deviceId: string;
  type: MethodType;
  firstFactor: readonly string[];
}

/** Checks what was typed for a challenge: charges, locks, stores and audits for every method and every flow. */
@Injectable()
export class Attempts {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly methods: Methods,
    private readonly users: Users,
    private readonly guard: MessageGuard,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
    private readonly box: SecretBox,
    private readonly config: Config,
  ) {}

  /**
   * Charges an attempt, compares, and on a right answer does `act` in the transaction that consumes the challenge.
   * A wrong answer is returned, not thrown: an exception would roll back what was counted.
   */
  async check<T>(
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
      await holdUser(tx, spent.userId);
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

  /** Why a challenge takes no attempt now. */
  async findRefusal(challengeId: string, purpose: ChallengePurpose): Promise<Refusal> {
    const state = await findChallengeState(this.db, challengeId);
    return state?.purpose === purpose ? refusalOf(state, this.config.codes) : { reason: 'unknown' };
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
    const verdict = this.methods.get(device.type).verify(deviceStateOf(device, this.box), spent, code, spent.now);
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
    await this.tell(tx, device.userId, { kind: 'recovery-code-used', codesLeft: used.left });
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
    if (failures === FAILURES_BEFORE_PAUSE) await this.tell(tx, userId, { kind: 'wrong-codes' });
    if (failures !== FAILURES_BEFORE_DISABLED) return;
    await this.audit.record(tx, 'device.disabled', { userId, client }, { deviceId, method: type });
    const deviceName = device?.name ?? '';
    await this.tell(tx, userId, { kind: 'device-disabled', deviceType: type, deviceName });
  }

  private async tell(tx: EntityManager, userId: string, notice: Notice): Promise<void> {
    const user = await this.users.findActive(userId, tx);
    if (user) await this.notifications.tell(tx, user, notice);
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
}
