import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Notifications } from '../notifications/notifications.service.js';
import { DestinationLimit } from '../throttling/destination-limit.js';
import { findOwner, type Owner, type WantedIdentity } from './identities.queries.js';

/** Tells those who have an identity that somebody tried to register with it; the one who tried is not told. */
@Injectable()
export class Owners {
  constructor(
    private readonly destinationLimit: DestinationLimit,
    private readonly notifications: Notifications,
  ) {}

  find(db: EntityManager, wanted: WantedIdentity): Promise<Owner | null> {
    return findOwner(db, wanted);
  }

  /** Who has the address of a device. */
  findOf(db: EntityManager, { type, address }: { type: string; address: string | null }): Promise<Owner | null> {
    return findOwner(db, {
      emailCanonical: type === 'email' ? address : null,
      phoneNumber: type === 'sms' ? address : null,
      username: null,
      usernameCanonical: null,
    });
  }

  /** By mail, within the limit of the mailbox. `permitted`: the address that a message was taken for already. */
  async tell(tx: EntityManager, owner: Owner, permitted: string | null): Promise<void> {
    const { id: userId, email, emailCanonical, locale } = owner;
    if (email === null || emailCanonical === null) return;
    if (emailCanonical !== permitted && !(await this.destinationLimit.take(tx, emailCanonical)).allowed) return;
    await this.notifications.enqueue(tx, { kind: 'account-exists', to: email }, { locale, userId });
  }
}
