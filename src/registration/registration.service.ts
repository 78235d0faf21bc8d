import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import type { Client } from '../audit/client.js';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { IdentityRules } from '../identity-rules/identity-rules.service.js';
import { matchLocale } from '../notifications/locale.js';
import { Challenges } from '../otp-devices/challenges.service.js';
import { OwnAddresses } from '../otp-devices/own-addresses.service.js';
import { Problem } from '../problems/problem.js';
import { SentProofs } from '../sign-in/sent-proofs.service.js';
import { Passwords } from '../users/password.js';
import { fieldsAfter, profileFaults, storedText } from '../users/profile.js';
import { newUser, type NewUser } from '../users/user.queries.js';
import { toUserDto, type UserDto } from '../users/users.dto.js';
import { Users } from '../users/users.service.js';
import { Collisions } from './collisions.service.js';
import { fieldFaults } from './fields.js';
import type { RegisterDto, RegistrationStartedDto } from './registration.dto.js';
import { VerifiedRegistration } from './verified-registration.service.js';

/** There is a user now (or it looks like it), or there will be one when his address is proved. */
export type Registered = { user: UserDto } | { started: RegistrationStartedDto };

/** New accounts, in the mode that the operator chose. */
@Injectable()
export class Registration {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly users: Users,
    private readonly passwords: Passwords,
    private readonly rules: IdentityRules,
    private readonly addresses: OwnAddresses,
    private readonly challenges: Challenges,
    private readonly proofs: SentProofs,
    private readonly collisions: Collisions,
    private readonly verified: VerifiedRegistration,
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  /** @throws Problem registration_closed, validation_failed, identity_refused, address_refused, identity_taken, busy */
  async register(body: RegisterDto, client: Client): Promise<Registered> {
    const { signupAllowed, verifiedOnly, deferIdentity } = this.config.accounts;
    if (!signupAllowed) throw new Problem('registration_closed');
    const wanted = await this.read(body, client);
    if (body.website) return this.trap(wanted, client);
    if (verifiedOnly) return { started: await this.verified.start(wanted, client) };
    if (deferIdentity) return { user: await this.createDeferred(wanted, client) };
    return { user: await this.createNow(wanted, client) };
  }

  /** A program that fills in everything: it gets the answer of any registration, and nothing stands behind it. */
  private async trap(wanted: NewUser, client: Client): Promise<Registered> {
    await this.rules.touchHoneypot(client);
    if (this.config.accounts.verifiedOnly) return { started: this.verified.asIfStarted(wanted) };
    return { user: this.asIfCreated(wanted) };
  }

  /** The account exists at once; its address counts as verified when a code came back from it. */
  private createNow(wanted: NewUser, client: Client): Promise<UserDto> {
    return this.create(wanted, client, async (tx) => {
      const identifier = this.identifierOf(wanted);
      if (this.config.accounts.autoSendCode) await this.proofs.sendFirstCode(tx, identifier, client);
    });
  }

  /** The username identifies the account, and its addresses stay off it until a device with them is confirmed. */
  private createDeferred(wanted: NewUser, client: Client): Promise<UserDto> {
    const { emailCanonical, phoneNumber } = wanted;
    const user = { ...wanted, email: null, emailCanonical: null, phoneNumber: null };
    return this.create(user, client, async (tx) => {
      if (emailCanonical !== null) await this.claim(tx, user.id, 'email', emailCanonical, client);
      if (phoneNumber !== null) await this.claim(tx, user.id, 'sms', phoneNumber, client);
    });
  }

  /**
   * Where an identity is taken the answer looks the same (unless REVEAL_EXISTING_ACCOUNTS) and its owner is told: an
   * answer that differs would tell strangers who has an account here.
   */
  private async create(
    user: NewUser,
    client: Client,
    followUp: (tx: EntityManager) => Promise<void>,
  ): Promise<UserDto> {
    const created = await this.db.transaction(async (tx) => {
      const inserted = await this.users.create(tx, user, { client });
      await (inserted ? followUp(tx) : this.collisions.note(tx, user, client));
      return inserted;
    });
    if (created) return toUserDto(created);
    if (this.config.accounts.revealExisting) throw new Problem('identity_taken');
    return this.asIfCreated(user);
  }

  private async claim(tx: EntityManager, userId: string, type: 'email' | 'sms', address: string, client: Client) {
    const device = await this.addresses.claim(tx, userId, { type, address }, client);
    if (this.config.accounts.autoSendCode) await this.challenges.open(tx, device, 'confirm');
  }

  /** Everything that can be refused is, before the password is hashed: that is what costs. */
  private async read(body: RegisterDto, client: Client): Promise<NewUser> {
    const { profile = {}, website: _trap, ...fields } = body;
    const { accounts } = this.config;
    const errors = [...fieldFaults(fields, profile, accounts), ...profileFaults({ profile }, accounts)];
    if (errors.length > 0) throw new Problem('validation_failed', { errors });
    const identity = this.users.readIdentity(fields);
    if (accounts.verifiedOnly) this.verified.addressToProve(identity);
    const { emailCanonical: email, phoneNumber, usernameCanonical: username } = identity;
    await this.rules.requireAllowed('registration', { email, phoneNumber, username, ip: client.ip }, client);
    if (accounts.verifiedOnly || accounts.autoSendCode) {
      await this.rules.requireAllowed('codes', { email, phoneNumber, ip: client.ip }, client);
    }
    if (fields.password !== undefined) this.users.requireGoodPassword('password', fields.password, identity);
    const passwordHash = fields.password === undefined ? null : await this.passwords.hash(fields.password);
    return newUser({
      ...identity,
      firstName: storedText(fields.firstName ?? ''),
      lastName: storedText(fields.lastName ?? ''),
      profile: fieldsAfter({}, profile),
      locale: client.locale === null ? null : matchLocale(client.locale),
      passwordHash,
    });
  }

  /** By what the new user will ask for codes. */
  private identifierOf({ emailCanonical, phoneNumber, usernameCanonical }: NewUser): string {
    const { email, phone } = this.users.identifying;
    return (email ? emailCanonical : null) ?? (phone ? phoneNumber : null) ?? usernameCanonical ?? '';
  }

  private asIfCreated(user: NewUser): UserDto {
    const now = this.clock.now();
    const { profile } = user;
    return toUserDto({
      ...user,
      profile: { ...profile },
      emailVerifiedAt: null,
      phoneVerifiedAt: null,
      roles: [],
      createdAt: now,
      updatedAt: now,
    });
  }
}
