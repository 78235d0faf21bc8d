import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsNull, Not, type EntityManager, type Repository } from 'typeorm';
import { Audit, type By } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { matchLocale } from '../notifications/locale.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem, type FieldError } from '../problems/problem.js';
import { DestinationLimit } from '../throttling/destination-limit.js';
import { PasswordFailures } from '../throttling/password-failures.js';
import { Tokens } from '../tokens/tokens.service.js';
import { canonicalEmail, canonicalUsername, type Identifier } from './identity.js';
import { parsePhone, phoneFault } from './phone.js';
import { passwordFaults } from './password-rules.js';
import { Passwords } from './password.js';
import { User } from './user.entity.js';
import { insertUser, newUser, replacePassword, type NewUser } from './user.queries.js';
import type { ChangePasswordDto, RegisterDto, UpdateProfileDto } from './users.dto.js';

@Injectable()
export class Users {
  constructor(
    @InjectRepository(User) private readonly repository: Repository<User>,
    private readonly passwords: Passwords,
    private readonly passwordFailures: PasswordFailures,
    private readonly destinationLimit: DestinationLimit,
    private readonly notifications: Notifications,
    private readonly tokens: Tokens,
    private readonly audit: Audit,
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  findByIdentifier(identifier: Identifier): Promise<User | null> {
    switch (identifier.kind) {
      case 'email':
        return this.repository.findOneBy({ emailCanonical: identifier.canonical });
      case 'phone':
        return this.repository.findOneBy({ phoneNumber: identifier.canonical });
      case 'username':
        return this.repository.findOneBy({ usernameCanonical: identifier.canonical });
    }
  }

  /** Inside a transaction pass it as `db`: a second connection could wait for the first one forever. */
  findActive(id: string, db: EntityManager = this.repository.manager): Promise<User | null> {
    return db.findOneBy(User, { id, active: true });
  }

  /** The user, and nobody may change him until the transaction ends. */
  lockActive(tx: EntityManager, id: string): Promise<User | null> {
    return tx.findOne(User, { where: { id, active: true }, lock: { mode: 'for_no_key_update' } });
  }

  /** The same for an inactive one too, who may even be removed meanwhile. */
  lock(tx: EntityManager, id: string): Promise<User | null> {
    return tx.findOne(User, { where: { id }, lock: { mode: 'pessimistic_write' } });
  }

  /** @throws Problem invalid_token, where the user was removed or deactivated a moment ago */
  async getActive(id: string, db?: EntityManager): Promise<User> {
    const user = await this.findActive(id, db);
    if (!user) throw new Problem('invalid_token');
    return user;
  }

  /**
   * Registers. Where the address or name is taken the answer looks the same (unless REVEAL_EXISTING_ACCOUNTS) and its
   * owner is told: an answer that differs would tell strangers who has an account here.
   */
  async register(body: RegisterDto, client: Client): Promise<User> {
    if (!this.config.accounts.signupAllowed) throw new Problem('registration_closed');
    const identity = this.readIdentity(body);
    if (body.password !== undefined) this.requireGoodPassword('password', body.password, identity);
    const passwordHash = body.password === undefined ? null : await this.passwords.hash(body.password);
    const user = newUser({
      ...identity,
      firstName: body.firstName?.trim() ?? '',
      lastName: body.lastName?.trim() ?? '',
      locale: client.locale === null ? null : matchLocale(client.locale),
      passwordHash,
    });
    const inserted = await this.repository.manager.transaction(async (tx) => {
      const created = await this.create(tx, user, { client });
      if (!created) await this.tellOwner(tx, user, client);
      return created;
    });
    if (inserted) return inserted;
    if (this.config.accounts.revealExisting) throw new Problem('identity_taken');
    return this.asIfInserted(user);
  }

  /** A new account; null where the address or the name is taken, also by a registration at this very moment. */
  async create(tx: EntityManager, user: NewUser, by: Partial<By>): Promise<User | null> {
    if (!(await insertUser(tx, user))) return null;
    await this.audit.record(tx, 'user.created', { userId: user.id, ...by }, {});
    return this.lockActive(tx, user.id);
  }

  /**
   * The account of an address that somebody asked a code for, where the operator wants that; null otherwise. It has no
   * password, and its address counts for nothing until the code comes back.
   */
  async createOnFirstCode(tx: EntityManager, { kind, canonical }: Identifier, locale: string | null) {
    const { otpAutoCreateAccount, signupAllowed } = this.config.accounts;
    if (!otpAutoCreateAccount || !signupAllowed || kind === 'username') return null;
    const email = kind === 'email' ? canonical : null;
    const user = newUser({
      email,
      emailCanonical: email,
      phoneNumber: kind === 'phone' ? canonical : null,
      locale: locale === null ? null : matchLocale(locale),
    });
    // Somebody else may have been quicker; the next request finds his account.
    return this.create(tx, user, {});
  }

  async updateProfile(id: string, changes: UpdateProfileDto, client: Client): Promise<User> {
    const fields = (['firstName', 'lastName', 'locale'] as const).filter((field) => changes[field] !== undefined);
    if (fields.length === 0) return this.getActive(id);
    return this.repository.manager.transaction(async (tx) => {
      const user = await tx.findOne(User, { where: { id, active: true }, lock: { mode: 'pessimistic_write' } });
      if (!user) throw new Problem('invalid_token');
      if (changes.firstName !== undefined) user.firstName = changes.firstName.trim();
      if (changes.lastName !== undefined) user.lastName = changes.lastName.trim();
      if (changes.locale !== undefined) user.locale = changes.locale;
      user.updatedAt = this.clock.now();
      await tx.save(user);
      await this.audit.record(tx, 'user.updated', { userId: id, client }, { fields });
      return user;
    });
  }

  /**
   * Changes the password and, in the same transaction, ends every other session and voids what is open: whoever
   * knew the old password keeps nothing (OWASP ASVS 5.0 7.4.3).
   */
  async changePassword(id: string, sessionId: string, body: ChangePasswordDto, client: Client): Promise<void> {
    const user = await this.getActive(id);
    await this.requireCurrentPassword(user, body.currentPassword, client);
    this.requireGoodPassword('newPassword', body.newPassword, user);
    const newHash = await this.passwords.hash(body.newPassword);
    await this.repository.manager.transaction(async (tx) => {
      if (!(await replacePassword(tx, id, user.passwordHash ?? '', newHash))) throw new Problem('invalid_credentials');
      await this.tokens.endSessionsOf(tx, id, 'password_changed', { client }, sessionId);
      await this.audit.record(tx, 'user.password-changed', { userId: id, sessionId, client }, {});
      if (user.email) {
        await this.notifications.enqueue(
          tx,
          { kind: 'password-changed', to: user.email },
          { locale: user.locale, userId: id },
        );
      }
    });
  }

  /** @throws Problem validation_failed, with what is wrong with it */
  requireGoodPassword(
    field: string,
    password: string,
    user: Pick<User, 'emailCanonical' | 'usernameCanonical' | 'phoneNumber'> | null,
  ): void {
    const own = [user?.emailCanonical, user?.usernameCanonical, user?.phoneNumber];
    const messages = passwordFaults(password, this.config.accounts.passwordMinLength, own);
    if (messages.length > 0) throw new Problem('validation_failed', { errors: [{ field, messages }] });
  }

  /** Counted like a sign-in: a stolen access token must not be a way to guess the password. */
  private async requireCurrentPassword(user: User, password: string, client: Client): Promise<void> {
    const db = this.repository.manager;
    const key = signedInKey(user.id);
    await this.passwordFailures.spend(db, key);
    if (await this.passwords.verify(user.passwordHash, password)) return this.passwordFailures.forgive(db, key);
    await this.audit.record(db, 'user.password-refused', { userId: user.id, client }, {});
    throw new Problem('invalid_credentials', { detail: 'The current password is wrong.' });
  }

  /** @throws Problem validation_failed */
  readIdentity({ email, username, phoneNumber }: RegisterDto) {
    const emailCanonical = email === undefined ? null : canonicalEmail(email);
    const usernameCanonical = username === undefined ? null : canonicalUsername(username);
    const phone = phoneNumber === undefined ? null : parsePhone(phoneNumber);
    const refused = phone && phoneFault(phone, this.config.sms.countries);
    const fault = (field: string, text: string | undefined, read: unknown, message: string): FieldError[] =>
      text !== undefined && read === null ? [{ field, messages: [message] }] : [];
    const errors = [
      ...fault('email', email, emailCanonical, 'must be an e-mail address'),
      ...fault('username', username, usernameCanonical, 'must be 1 to 64 letters, digits, dots, dashes or underscores'),
      ...fault('phoneNumber', phoneNumber, phone, 'must be a phone number with its country code, such as +4930123456'),
      ...(refused ? [{ field: 'phoneNumber', messages: [refused] }] : []),
    ];
    if (errors.length > 0) throw new Problem('validation_failed', { errors });
    return {
      email: email?.normalize('NFC').trim() ?? null,
      emailCanonical,
      username: username?.normalize('NFKC').trim() ?? null,
      usernameCanonical,
      phoneNumber: phone?.e164 ?? null,
    };
  }

  private async tellOwner(tx: EntityManager, wanted: NewUser, client: Client): Promise<void> {
    const owner = await tx.findOneBy(User, [
      ...(wanted.emailCanonical ? [{ emailCanonical: wanted.emailCanonical }] : []),
      ...(wanted.phoneNumber ? [{ phoneNumber: wanted.phoneNumber, email: Not(IsNull()) }] : []),
      ...(wanted.usernameCanonical ? [{ usernameCanonical: wanted.usernameCanonical, email: Not(IsNull()) }] : []),
    ]);
    await this.audit.record(tx, 'user.registration-collided', { userId: owner?.id ?? null, client }, {});
    if (!owner?.email || !owner.emailCanonical) return;
    const permission = await this.destinationLimit.take(tx, owner.emailCanonical);
    if (!permission.allowed) return;
    const { id: userId, locale } = owner;
    await this.notifications.enqueue(tx, { kind: 'account-exists', to: owner.email }, { locale, userId });
  }

  private asIfInserted(wanted: NewUser): User {
    const now = this.clock.now();
    return this.repository.create({
      ...wanted,
      emailVerifiedAt: null,
      phoneVerifiedAt: null,
      roles: [],
      active: true,
      preferredMethod: null,
      twoFactorRequired: false,
      epoch: 0,
      createdAt: now,
      updatedAt: now,
    });
  }
}

/** Apart from every identifier: with its space nobody can type it into a login box. */
export function signedInKey(userId: string): string {
  return `user ${userId}`;
}
