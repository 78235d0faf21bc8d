import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem } from '../problems/problem.js';
import type { User } from '../users/user.entity.js';
import { bumpEpoch } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import { IdentityProofs, type Proved } from './identity-proofs.service.js';
import type { IdentityProof } from './provider.js';
import { Providers } from './providers.js';
import {
  deleteIdentity,
  fillNames,
  findIdentitiesOf,
  findOwner,
  insertIdentity,
  lockIdentity,
  touchIdentity,
  type ConnectedIdentity,
  type SocialIdentity,
} from './social-identities.queries.js';

/** What a provider can be called, today or when it was connected. Any other text, such as one with U+0000, is none. */
const PROVIDER_NAME = /^[a-z0-9]+$/;

/** The identities at providers that a signed-in user has connected to his account. */
@Injectable()
export class Identities {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly proofs: IdentityProofs,
    private readonly providers: Providers,
    private readonly users: Users,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
    private readonly config: Config,
  ) {}

  list(userId: string): Promise<ConnectedIdentity[]> {
    return findIdentitiesOf(this.db, userId);
  }

  /** @throws Problem as IdentityProofs.prove; identity_connected_elsewhere, provider_already_connected */
  async connect(userId: string, provider: string, proof: IdentityProof, client: Client): Promise<ConnectedIdentity> {
    const proved = await this.proofs.prove(provider, proof);
    const identity = identityOf(proved);
    return this.db.transaction(async (tx) => {
      await lockIdentity(tx, identity);
      const user = await this.users.lockActive(tx, userId);
      if (!user) throw new Problem('invalid_token');
      await this.proofs.spend(tx, proved);
      const owner = await findOwner(tx, identity);
      if (owner && owner.userId !== userId) throw new Problem('identity_connected_elsewhere');
      const connected = owner ? await touchIdentity(tx, identity) : await insertIdentity(tx, userId, identity);
      if (!connected) throw new Problem('provider_already_connected');
      await fillNames(tx, userId, proved);
      if (!owner) await this.tellConnected(tx, user, proved, { linked: false, client });
      return connected;
    });
  }

  /**
   * Takes a way in away, in a new epoch: what was begun with it ends. Never the last one, also where two are taken away
   * at the same moment: the user's row is locked before what is left is counted.
   * @throws Problem not_found, last_way_in
   */
  async disconnect(userId: string, provider: string, client: Client): Promise<void> {
    if (!PROVIDER_NAME.test(provider)) throw new Problem('not_found');
    await this.db.transaction(async (tx) => {
      await bumpEpoch(tx, userId);
      const user = await this.users.getActive(userId, tx);
      const removed = await deleteIdentity(tx, userId, provider);
      if (!removed) throw new Problem('not_found');
      if (!this.canSignIn(user, await findIdentitiesOf(tx, userId))) throw new Problem('last_way_in');
      await this.audit.record(tx, 'identity.disconnected', { userId, client }, { provider });
      const name = this.displayNameOf(provider);
      await this.notifications.tell(tx, user, { kind: 'identity-disconnected', provider: name });
    });
  }

  /** A new way in is never added in silence. */
  async tellConnected(
    tx: EntityManager,
    user: User,
    { provider }: Proved,
    { linked, client }: { linked: boolean; client: Client },
  ): Promise<void> {
    const { name, displayName } = provider;
    await this.audit.record(tx, 'identity.connected', { userId: user.id, client }, { provider: name, linked });
    await this.notifications.tell(tx, user, { kind: 'identity-connected', provider: displayName });
  }

  /** By a password, by a code or link to what he has proved to read, or by another provider that is still configured. */
  private canSignIn(user: User, others: readonly ConnectedIdentity[]): boolean {
    if (user.passwordHash !== null) return true;
    if (user.emailVerifiedAt !== null && user.emailIdentifies) return true;
    if (user.phoneVerifiedAt !== null && user.phoneIdentifies && this.config.sms.driver !== null) return true;
    return others.some(({ provider }) => this.providers.find(provider) !== null);
  }

  /** It may not be configured any more. */
  private displayNameOf(provider: string): string {
    return this.providers.find(provider)?.displayName ?? provider;
  }
}

export function identityOf({ provider, issuer, subject, email }: Proved): SocialIdentity {
  return { provider: provider.name, issuer, subject, email: email?.address ?? null };
}
