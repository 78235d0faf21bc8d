import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import ipaddr from 'ipaddr.js';
import { createHmac, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { Keys } from '../crypto/keys.js';
import { isAddressRefused, refuseAddress } from './refused-addresses.queries.js';

/** Addresses that have fallen for the field which people do not see; all replicas know them. */
@Injectable()
export class Honeypot {
  private readonly banSeconds: number | null;
  private readonly hashKey: KeyObject;

  constructor(
    config: Config,
    keys: Keys,
    private readonly audit: Audit,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {
    this.banSeconds = config.identityRules.honeypotBanSeconds;
    this.hashKey = keys.for('counters');
  }

  async touch(client: Client): Promise<void> {
    await this.db.transaction(async (tx) => {
      if (this.banSeconds !== null) await refuseAddress(tx, this.keyOf(client.ip), this.banSeconds);
      await this.audit.record(tx, 'honeypot.touched', { userId: null, client }, {});
    });
  }

  async refuses(db: EntityManager, ip: string): Promise<boolean> {
    return this.banSeconds !== null && isAddressRefused(db, this.keyOf(ip));
  }

  /** Keyed: a list of addresses would tell who was here, and there are few enough to try them all. */
  private keyOf(ip: string): Buffer {
    return createHmac('sha256', this.hashKey)
      .update(`address\0${networkOf(ip)}`)
      .digest();
  }
}

/** What one customer gets: an IPv4 address, in whatever clothes, or 64 bits of IPv6. */
export function networkOf(ip: string): string {
  if (isIP(ip) === 0) return ip;
  const address = ipaddr.process(ip);
  return address instanceof ipaddr.IPv4 ? address.toString() : address.parts.slice(0, 4).join(':');
}
