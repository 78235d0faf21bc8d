import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { IdentityRules } from '../identity-rules/identity-rules.service.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem } from '../problems/problem.js';
import { AccessDemands } from '../tokens/access-demands.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { decideRequirement, requiredBy } from '../two-factor/policy.js';
import { TwoFactor } from '../two-factor/two-factor.service.js';
import { removeIdentity, storeAddress, storeUsername } from '../users/identities.queries.js';
import type { User } from '../users/user.entity.js';
import { bumpEpoch } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import { hasConfirmedDevice } from './own-identity.queries.js';
import type { UpdateMeDto } from './own-profile.dto.js';

const FIELDS = ['email', 'phoneNumber', 'username'] as const;
type Field = (typeof FIELDS)[number];
const DEVICE_TYPES = { email: 'email', phoneNumber: 'sms' } as const;

/** What a user changes about himself: the profile freely, what identifies or reaches him with a recent proof. */
@Injectable()
export class OwnIdentity {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly users: Users,
    private readonly rules: IdentityRules,
    private readonly twoFactor: TwoFactor,
    private readonly demands: AccessDemands,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
    private readonly config: Config,
  ) {}

  /** Changes all that is given, or nothing. */
  async update(principal: AccessPrincipal, body: UpdateMeDto, client: Client): Promise<User> {
    const { email, phoneNumber, username, ...profile } = body;
    const wanted = { email, phoneNumber, username };
    const fields = FIELDS.filter((field) => wanted[field] !== undefined);
    if (fields.length > 0) {
      await this.demands.requireFresh(principal);
      await this.requireChangeable(wanted, client);
    }
    await this.db.transaction(async (tx) => {
      await this.users.updateProfile(tx, principal.userId, profile, client);
      for (const field of fields) await this.change(tx, principal.userId, field, wanted[field] ?? null, client);
    });
    return this.users.getActive(principal.userId);
  }

  private async requireChangeable(
    { email, phoneNumber, username }: Pick<UpdateMeDto, Field>,
    client: Client,
  ): Promise<void> {
    const addressGiven = email !== undefined || phoneNumber !== undefined;
    if (addressGiven && !this.config.accounts.identityUpdate) throw new Problem('address_change_off');
    const read = this.users.readIdentity({
      email: email ?? undefined,
      phoneNumber: phoneNumber ?? undefined,
      username: username ?? undefined,
    });
    const named = { email: read.emailCanonical, phoneNumber: read.phoneNumber, username: read.usernameCanonical };
    await this.rules.requireAllowed('registration', { ...named, ip: client.ip }, client);
  }

  private async change(tx: EntityManager, userId: string, field: Field, text: string | null, client: Client) {
    const user = await this.users.getActive(userId, tx);
    if (text === null) return this.remove(tx, user, field, client);
    return field === 'username' ? this.rename(tx, user, text, client) : this.move(tx, user, field, text, client);
  }

  private async rename(tx: EntityManager, user: User, text: string, client: Client): Promise<void> {
    const { username, usernameCanonical } = this.users.readIdentity({ username: text });
    if (username === null || usernameCanonical === null || username === user.username) return;
    if (!(await storeUsername(tx, user.id, username, usernameCanonical))) throw new Problem('identity_taken');
    await this.audit.record(tx, 'user.updated', { userId: user.id, client }, { fields: ['username'] });
  }

  private async move(
    tx: EntityManager,
    user: User,
    field: 'email' | 'phoneNumber',
    text: string,
    client: Client,
  ): Promise<void> {
    const read = this.users.readIdentity({ [field]: text });
    const canonical = (field === 'email' ? read.emailCanonical : read.phoneNumber) ?? '';
    if (canonical === (field === 'email' ? user.emailCanonical : user.phoneNumber)) return;
    const type = DEVICE_TYPES[field];
    if (!(await hasConfirmedDevice(tx, user.id, type, canonical))) throw new Problem('address_not_confirmed');
    const proved = { type, address: read[field] ?? canonical, canonical };
    if (!(await storeAddress(tx, user.id, proved, this.users.identifying))) throw new Problem('identity_taken');
    await this.afterAddress(tx, user, field, false, client);
  }

  private async remove(tx: EntityManager, user: User, field: Field, client: Client): Promise<void> {
    if (user[field] === null) return;
    const { requiredFields, identityFields } = this.config.accounts;
    if (requiredFields.includes(field) || !staysReachable(user, field, identityFields)) {
      throw new Problem('identity_needed');
    }
    await removeIdentity(tx, user.id, field);
    if (field === 'username') {
      await this.audit.record(tx, 'user.updated', { userId: user.id, client }, { fields: ['username'] });
      return;
    }
    await this.requireStillAskable(tx, user.id);
    await this.afterAddress(tx, user, field, true, client);
  }

  /** A second factor that is demanded may be asked at this address alone. */
  private async requireStillAskable(tx: EntityManager, userId: string): Promise<void> {
    const facts = await this.twoFactor.factsOf(tx, userId);
    if (requiredBy(facts) !== null && !decideRequirement(facts, true).allowed) throw new Problem('identity_needed');
  }

  /** Links and codes that went to the old address become void, and it is told: whoever lost his session sees it there. */
  private async afterAddress(
    tx: EntityManager,
    user: User,
    field: 'email' | 'phoneNumber',
    removed: boolean,
    client: Client,
  ): Promise<void> {
    await bumpEpoch(tx, user.id);
    await this.audit.record(tx, 'user.address-changed', { userId: user.id, client }, { field, removed });
    const deviceType = DEVICE_TYPES[field];
    await this.notifications.tell(tx, user, { kind: 'address-changed', deviceType, removed });
  }
}

/** Whether something would still identify the user, and let him in: without a password only a message does. */
function staysReachable(user: User, without: Field, identityFields: readonly Field[]): boolean {
  const identities = {
    email: user.emailIdentifies ? user.emailCanonical : null,
    phoneNumber: user.phoneIdentifies ? user.phoneNumber : null,
    username: user.usernameCanonical,
  };
  const isIdentified = identityFields.some((field) => field !== without && identities[field] !== null);
  const addresses = [
    without === 'email' ? null : user.emailCanonical,
    without === 'phoneNumber' ? null : user.phoneNumber,
  ];
  const isLetIn = user.passwordHash !== null || addresses.some((address) => address !== null);
  return isIdentified && isLetIn;
}
