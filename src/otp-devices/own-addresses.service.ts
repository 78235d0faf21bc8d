import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { storeAddress } from '../users/identities.queries.js';
import { Users } from '../users/users.service.js';
import type { OtpDevice } from './otp-device.entity.js';
import { insertPendingDevice } from './otp-device.queries.js';

/** Seconds that the device of an address waits which a registration named. */
const CLAIM_TTL = 86_400;

/** How the address of a device becomes that of its user. */
@Injectable()
export class OwnAddresses {
  constructor(
    private readonly users: Users,
    private readonly audit: Audit,
    private readonly config: Config,
  ) {}

  /** The pending device of an address that a registration names, in its canonical form; it waits for a day. */
  async claim(
    tx: EntityManager,
    userId: string,
    { type, address }: { type: 'email' | 'sms'; address: string },
    client: Client,
  ): Promise<OtpDevice> {
    const id = uuidv7();
    const claim = { id, userId, type, name: '', address, sealedSecret: null, ttlSeconds: CLAIM_TTL };
    const device = await insertPendingDevice(tx, claim);
    await this.audit.record(tx, 'device.created', { userId, client }, { deviceId: id, method: type });
    return device;
  }

  /**
   * A user who has no address yet gets the one that he has just proved. Where it is another user's, it stays a place
   * where this one receives codes; only while addresses wait for their proof (DEFER_IDENTITY_UPDATE) is that a refusal.
   * @returns false where it is refused
   */
  async adopt(tx: EntityManager, { userId, type, address }: OtpDevice, client: Client): Promise<boolean> {
    const { identityUpdate, deferIdentity } = this.config.accounts;
    if (!identityUpdate || address === null || (type !== 'email' && type !== 'sms')) return true;
    const user = await this.users.getActive(userId, tx);
    const field = type === 'email' ? 'email' : 'phoneNumber';
    if (user[field] !== null) return true;
    const proved = { type, address, canonical: address };
    if (!(await storeAddress(tx, userId, proved, this.users.identifying))) return !deferIdentity;
    await this.audit.record(tx, 'user.address-changed', { userId, client }, { field, removed: false });
    return true;
  }
}
