import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit, type By } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { matchLocale } from '../notifications/locale.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem, type FieldError } from '../problems/problem.js';
import { PasswordFailures } from '../throttling/password-failures.js';
import { Tokens } from '../tokens/tokens.service.js';
import { canonicalEmail, canonicalUsername, type Identifier } from './identity.js';
import { isOfOneAlphabet } from './lookalikes.js';
import { parsePhone, phoneFault } from './phone.js';
import { passwordFaults } from './password-rules.js';
import { Passwords } from './password.js';
import type { User } from './user.entity.js';
import { changedProfile, profileFaults } from './profile.js';
import {
  findActiveUser,
  findIdentified,
  insertUser,
  lockActiveUser,
  lockUser,
  newUser,
  replacePassword,
  setRegistering,
  storeProfile,
  type Identifying,
  type NewUser,
} from './user.queries.js';
import type { ChangePasswordDto, UpdateProfileDto } from './users.dto.js';

/** What somebody says identifies him, as it was typed. */
export interface TypedIdentity {
  email?: string | undefined;
  username?: string | undefined;
  phoneNumber?: string | undefined;
}

@Injectable()
export class Users {
  /** What identifies a user from now on (IDENTITY_FIELDS); of those who are there their row says it. */
  readonly identifying: Identifying;

  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly passwords: Passwords,
    private readonly passwordFailures: PasswordFailures,
    private readonly notifications: Notifications,
    private readonly tokens: Tokens,
    private readonly audit: Audit,
    private readonly config: Config,
  ) {
    const { identityFields } = config.accounts;
    this.identifying = { email: identityFields.includes('email'), phone: identityFields.includes('phoneNumber') };
  }

  /** Whom an identifier names, where it is one of IDENTITY_FIELDS. */
  async findByIdentifier(identifier: Identifier): Promise<User | null> {
    const field = identifier.kind === 'phone' ? 'phoneNumber' : identifier.kind;
    return this.config.accounts.identityFields.includes(field) ? findIdentified(this.db, identifier) : null;
  }

  /** Inside a transaction pass it as `db`: a second connection could wait for the first one forever. */
  findActive(id: string, db: EntityManager = this.db): Promise<User | null> {
    return findActiveUser(db, id);
  }

  /** The user, and nobody may change him until the transaction ends. */
  lockActive(tx: EntityManager, id: string): Promise<User | null> {
    return lockActiveUser(tx, id);
  }

  /** The same for an inactive one too, who may even be removed meanwhile. */
  lock(tx: EntityManager, id: string): Promise<User | null> {
    return lockUser(tx, id);
  }

  /** @throws Problem invalid_token, where the user was removed or deactivated a moment ago */
  async getActive(id: string, db?: EntityManager): Promise<User> {
    const user = await this.findActive(id, db);
    if (!user) throw new Problem('invalid_token');
    return user;
  }

  /** A new account; null where what identifies it is taken, also by a registration at this very moment. */
  async create(tx: EntityManager, user: NewUser, by: Partial<By>): Promise<User | null> {
    if (!(await insertUser(tx, user, this.identifying))) return null;
    await this.audit.record(tx, 'user.created', { userId: user.id, ...by }, {});
    return this.lockActive(tx, user.id);
  }

  /** What may become an account. Without identity it opens nothing; it is removed a day later. */
  async createRegistering(tx: EntityManager, user: NewUser): Promise<void> {
    await insertUser(tx, user, this.identifying);
    await setRegistering(tx, user.id);
  }

  /**
   * The account of an address that somebody asked a code for, where the operator wants that; null otherwise. It has no
   * password, and its address counts for nothing until the code comes back.
   */
  async createOnFirstCode(tx: EntityManager, { kind, canonical }: Identifier, locale: string | null) {
    const { otpAutoCreateAccount, signupAllowed } = this.config.accounts;
    if (!otpAutoCreateAccount || !signupAllowed || kind === 'username') return null;
    if (!(kind === 'email' ? this.identifying.email : this.identifying.phone)) return null;
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

  /** @throws Problem validation_failed, invalid_token */
  async updateProfile(tx: EntityManager, id: string, changes: UpdateProfileDto, client: Client): Promise<void> {
    const user = await this.lockActive(tx, id);
    if (!user) throw new Problem('invalid_token');
    const { fields, profile } = this.profileAfter(user, changes);
    if (fields.length === 0) return;
    await storeProfile(tx, id, profile);
    await this.audit.record(tx, 'user.updated', { userId: id, client }, { fields });
  }

  /** @throws Problem validation_failed */
  profileAfter(user: User, changes: UpdateProfileDto) {
    const errors = profileFaults(changes, this.config.accounts);
    if (errors.length > 0) throw new Problem('validation_failed', { errors });
    return changedProfile(user, changes);
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
    await this.db.transaction(async (tx) => {
      if (!(await replacePassword(tx, id, user.passwordHash ?? '', newHash))) throw new Problem('invalid_credentials');
      await this.tokens.endSessionsOf(tx, id, 'password_changed', { client }, sessionId);
      await this.audit.record(tx, 'user.password-changed', { userId: id, sessionId, client }, {});
      await this.notifications.tell(tx, user, { kind: 'password-changed' });
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
    const key = signedInKey(user.id);
    const { matches } = await this.passwords.verify(password, async () => {
      await this.passwordFailures.spend(this.db, key);
      return { passwordHash: user.passwordHash };
    });
    if (matches) return this.passwordFailures.forgive(this.db, key);
    await this.audit.record(this.db, 'user.password-refused', { userId: user.id, client }, {});
    throw new Problem('invalid_credentials', { detail: 'The current password is wrong.' });
  }

  /** @throws Problem validation_failed */
  readIdentity({ email, username, phoneNumber }: TypedIdentity) {
    const emailCanonical = email === undefined ? null : canonicalEmail(email);
    const usernameCanonical = username === undefined ? null : canonicalUsername(username);
    const phone = phoneNumber === undefined ? null : parsePhone(phoneNumber);
    const refused = phone && phoneFault(phone, this.config.sms.countries);
    const fault = (field: string, text: string | undefined, read: unknown, message: string): FieldError[] =>
      text !== undefined && read === null ? [{ field, messages: [message] }] : [];
    const errors = [
      ...fault('email', email, emailCanonical, 'must be an e-mail address'),
      ...fault('username', username, usernameCanonical, 'must be 1 to 64 letters, digits, dots, dashes or underscores'),
      ...(usernameCanonical !== null && !isOfOneAlphabet(usernameCanonical)
        ? [{ field: 'username', messages: ['must be written in one alphabet'] }]
        : []),
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
}

/** Apart from every identifier: no request that is taken holds a NUL, so nobody can type it. */
export function signedInKey(userId: string): string {
  return `user\0${userId}`;
}
