import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { SecretBox } from '../crypto/secret-box.js';
import { IdentityRules } from '../identity-rules/identity-rules.service.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem } from '../problems/problem.js';
import { sendProblem } from '../throttling/send-permission.js';
import type { Principal } from '../tokens/principal.js';
import { isLastDevice, type MethodType, type RuleMethod } from '../two-factor/policy.js';
import { TwoFactor } from '../two-factor/two-factor.service.js';
import type { User } from '../users/user.entity.js';
import { bumpEpoch, holdUser } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import { Attempts, type Proof } from './attempts.service.js';
import { findLatestChallenge } from './challenge.queries.js';
import { Challenges } from './challenges.service.js';
import { DEVICE_SECRET } from './device-secret.js';
import type { Method, ShownOnce } from './methods/method.js';
import { RecoveryCodesMethod } from './methods/recovery-codes.js';
import { Methods } from './methods/registry.js';
import type { OtpDevice } from './otp-device.entity.js';
import {
  confirmDevice,
  deleteDevice,
  ensureAddressDevice,
  findDevices,
  findOwnDevice,
  insertPendingDevice,
  renameDevice,
} from './otp-device.queries.js';
import type { CreateDeviceDto, UpdateDeviceDto } from './otp-devices.dto.js';
import { OwnAddresses } from './own-addresses.service.js';
import { deleteSheet, replaceSheet } from './recovery-code.queries.js';
import { problemOf } from './refusal.js';

export interface CreatedDevice {
  device: OtpDevice;
  shownOnce: ShownOnce | { codes: string[] } | null;
  resendIn: number | null;
}

@Injectable()
export class Devices {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly methods: Methods,
    private readonly recoveryCodes: RecoveryCodesMethod,
    private readonly challenges: Challenges,
    private readonly attempts: Attempts,
    private readonly addresses: OwnAddresses,
    private readonly twoFactor: TwoFactor,
    private readonly users: Users,
    private readonly rules: IdentityRules,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
    private readonly box: SecretBox,
    private readonly config: Config,
  ) {}

  findAll(userId: string): Promise<OtpDevice[]> {
    return findDevices(this.db, userId);
  }

  /** @throws Problem not_found, also for somebody else's device */
  async getOwn(
    userId: string,
    deviceId: string,
    db: EntityManager = this.db,
  ): Promise<OtpDevice & { expired: boolean }> {
    const device = await findOwnDevice(db, userId, deviceId);
    if (!device) throw new Problem('not_found');
    return device;
  }

  /** Creates a pending device; it counts for nothing until it is confirmed. */
  async create(principal: Principal, wanted: CreateDeviceDto, client: Client): Promise<CreatedDevice> {
    const { userId } = principal;
    if (wanted.type === 'recovery_codes') return this.regenerateRecoveryCodes(principal, client);
    const method = await this.getAllowedMethod(principal, wanted.type);
    const user = await this.users.getActive(userId);
    const deviceId = uuidv7();
    const created = await method.create({
      deviceId,
      email: wanted.email,
      phoneNumber: wanted.phoneNumber,
      account: user.email ?? user.username ?? user.phoneNumber ?? user.id,
    });
    if (!created.ok) throw new Problem('validation_failed', { errors: created.errors });
    if (method.sends) await this.requireAllowed(method.type, created.address, client);
    return this.db.transaction(async (tx) => {
      await holdUser(tx, userId);
      const device = await insertPendingDevice(tx, {
        id: deviceId,
        userId,
        type: method.type,
        name: wanted.name?.trim() ?? '',
        address: created.address,
        sealedSecret: created.secret === null ? null : this.box.seal(created.secret, DEVICE_SECRET, deviceId),
        ttlSeconds: this.config.twoFactor.pendingDeviceTtlSeconds,
      });
      if (device.confirmedAt !== null) return { device, shownOnce: null, resendIn: null };
      const resendIn = await this.askToConfirm(tx, device, method);
      await this.audit.record(tx, 'device.created', { userId, client }, { deviceId: device.id, method: method.type });
      return { device, shownOnce: created.shownOnce, resendIn };
    });
  }

  /** Sends a code to a device that receives codes, to confirm it. */
  async challenge(userId: string, deviceId: string, client: Client): Promise<number> {
    const device = await this.getOwn(userId, deviceId);
    if (device.expired) throw new Problem('device_expired');
    const method = this.methods.get(device.type);
    if (!method.sends || device.confirmedAt !== null) throw new Problem('method_not_allowed');
    await this.requireAllowed(device.type, device.address, client);
    const resendIn = await this.db.transaction(async (tx) => {
      await holdUser(tx, userId);
      return this.askToConfirm(tx, device, method);
    });
    return resendIn ?? 0;
  }

  /**
   * Confirms a pending device with a code that it gave. `complete` runs in the same transaction, before everything
   * that was open for the user becomes void. With the first device come the recovery codes, which it is given to show.
   * @throws Problem identity_taken, where a registration claimed the address and somebody else was quicker
   */
  async confirm<T>(
    userId: string,
    deviceId: string,
    code: string,
    client: Client,
    complete: (tx: EntityManager, proof: Proof, recoveryCodes: string[] | null) => Promise<T>,
  ): Promise<T> {
    const pending = await this.getOwn(userId, deviceId);
    if (pending.confirmedAt !== null) throw new Problem('device_already_confirmed');
    if (pending.expired) throw new Problem('device_expired');
    const challenge = await findLatestChallenge(this.db, deviceId, 'confirm');
    if (!challenge) {
      // A request that came at the same time may have confirmed it since it was read.
      const { confirmedAt } = await this.getOwn(userId, deviceId);
      throw new Problem(confirmedAt === null ? 'invalid_code' : 'device_already_confirmed');
    }
    const answer = await this.attempts.check(challenge.id, 'confirm', code, client, async (tx, proof) => {
      if (!(await this.addresses.adopt(tx, pending, client))) {
        // Returned, not thrown: the device that claims what another one has must go.
        await deleteDevice(tx, deviceId);
        return null;
      }
      if (!(await confirmDevice(tx, deviceId))) throw new Problem('device_expired');
      if (this.methods.get(proof.type).preferredOnceConfirmed) await this.twoFactor.prefer(tx, userId, proof.type);
      await this.audit.record(tx, 'device.confirmed', { userId, client }, { deviceId, method: proof.type });
      await this.tell(tx, userId, 'device-added', pending);
      const value = await complete(tx, proof, await this.firstRecoveryCodes(tx, userId, client));
      await bumpEpoch(tx, userId);
      return { value };
    });
    if (answer.ok) {
      if (answer.value === null) throw new Problem('identity_taken', { detail: PROVED_BY_ANOTHER });
      return answer.value.value;
    }
    const { refusal } = answer;
    // No code token is involved, so "sign in again" would be the wrong advice: another code is what is needed.
    if (refusal.reason === 'expired' || refusal.reason === 'void') throw new Problem('invalid_code');
    throw problemOf(refusal);
  }

  async update(userId: string, deviceId: string, changes: UpdateDeviceDto, client: Client): Promise<OtpDevice> {
    const device = await this.getOwn(userId, deviceId);
    if (changes.preferred) await this.twoFactor.change(userId, { preferredMethod: preferable(device) }, client);
    if (changes.name !== undefined) await renameDevice(this.db, deviceId, changes.name.trim());
    return this.getOwn(userId, deviceId);
  }

  /** @throws Problem last_device, where the policy demands one and there is no other */
  async remove(userId: string, deviceId: string, client: Client): Promise<void> {
    await this.db.transaction(async (tx) => {
      // First: of two removals at once the second must see what the first has left.
      await bumpEpoch(tx, userId);
      const device = await this.getOwn(userId, deviceId, tx);
      const facts = await this.twoFactor.factsOf(tx, userId);
      if (isLastDevice(facts, deviceId)) throw new Problem('last_device');
      await deleteDevice(tx, deviceId);
      // A sheet stands in for another device and is nothing by itself.
      if (!facts.devices.some(({ id, type }) => id !== deviceId && type !== 'recovery_codes'))
        await deleteSheet(tx, userId);
      const isOnlyOfItsType = !facts.devices.some(({ id, type }) => id !== deviceId && type === device.type);
      if (isOnlyOfItsType && facts.preferred === device.type) await this.twoFactor.prefer(tx, userId, null);
      await this.audit.record(tx, 'device.removed', { userId, client }, { deviceId, method: device.type });
      if (device.confirmedAt !== null) await this.tell(tx, userId, 'device-removed', device);
    });
  }

  /** The device of the account's own address, for the fallback and for codes without a password. */
  ensureAddressDevice(tx: EntityManager, user: User, type: MethodType): Promise<OtpDevice> {
    const address = type === 'sms' ? user.phoneNumber : user.emailCanonical;
    if (address === null) throw new Problem('two_factor_not_configured');
    return ensureAddressDevice(tx, { id: uuidv7(), userId: user.id, type, address });
  }

  /** A new sheet; the codes of the old one are worth nothing any more. Shown now and never again. */
  private async regenerateRecoveryCodes({ kind, userId }: Principal, client: Client): Promise<CreatedDevice> {
    if (kind !== 'access') throw new Problem('method_not_allowed');
    return this.db.transaction(async (tx) => {
      // First: codes under way belong to the old sheet.
      await bumpEpoch(tx, userId);
      const { devices } = await this.twoFactor.factsOf(tx, userId);
      if (!devices.some(({ type }) => type !== 'recovery_codes')) throw new Problem('two_factor_not_configured');
      const { deviceId, codes } = await this.makeSheet(tx, userId, client);
      return { device: await this.getOwn(userId, deviceId, tx), shownOnce: { codes }, resendIn: null };
    });
  }

  /** With the first device that a user enrolls; null where he has a sheet. */
  private async firstRecoveryCodes(tx: EntityManager, userId: string, client: Client): Promise<string[] | null> {
    const { devices } = await this.twoFactor.factsOf(tx, userId);
    if (devices.some(({ type }) => type === 'recovery_codes')) return null;
    return (await this.makeSheet(tx, userId, client)).codes;
  }

  private async makeSheet(
    tx: EntityManager,
    userId: string,
    client: Client,
  ): Promise<{ deviceId: string; codes: string[] }> {
    const deviceId = uuidv7();
    const made = this.recoveryCodes.generate(deviceId, this.config.twoFactor.recoveryCodeCount);
    await replaceSheet(tx, { deviceId, userId, hashes: made.map(({ hash }) => hash) });
    await this.audit.record(tx, 'recovery-codes.created', { userId, client }, {});
    await this.notifications.tell(tx, await this.users.getActive(userId, tx), { kind: 'recovery-codes-created' });
    return { deviceId, codes: made.map(({ code }) => code) };
  }

  /** Told: the address is one that the user himself has just typed. */
  private requireAllowed(type: MethodType, address: string | null, client: Client): Promise<void> {
    const named = type === 'sms' ? { phoneNumber: address } : { email: address };
    return this.rules.requireAllowed('codes', { ...named, ip: client.ip }, client);
  }

  private async getAllowedMethod(principal: Principal, type: MethodType): Promise<Method> {
    const { policy } = await this.twoFactor.factsOf(this.db, principal.userId);
    const allowed = principal.kind === 'enrollment' ? principal.methods : policy.trusted;
    const method = this.methods.find(type);
    if (!method || !allowed.includes(type)) throw new Problem('method_not_allowed');
    return method;
  }

  /** Opens the challenge that a confirmation answers. What is shown once may be scanned for as long as it is pending. */
  private async askToConfirm(tx: EntityManager, device: OtpDevice, method: Method): Promise<number | null> {
    const ttlSeconds = method.sends ? this.config.codes.ttlSeconds : this.config.twoFactor.pendingDeviceTtlSeconds;
    const opened = await this.challenges.open(tx, device, 'confirm', { ttlSeconds });
    if (!method.sends) return null;
    if (opened.refused) throw sendProblem(opened.refused);
    return opened.resendIn;
  }

  private async tell(
    tx: EntityManager,
    userId: string,
    kind: 'device-added' | 'device-removed',
    { type: deviceType, name: deviceName }: OtpDevice,
  ): Promise<void> {
    const user = await this.users.getActive(userId, tx);
    await this.notifications.tell(tx, user, { kind, deviceType, deviceName });
  }
}

const PROVED_BY_ANOTHER = 'Somebody else has proved this address first. Add another one with POST /otp-devices.';

function preferable({ type, confirmedAt }: OtpDevice): RuleMethod {
  if (confirmedAt === null || type === 'recovery_codes') throw new Problem('method_not_allowed');
  return type;
}
