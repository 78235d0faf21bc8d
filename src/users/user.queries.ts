import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { columnsOf } from '../database/columns.js';
import { firstRow, rowsOf } from '../database/sql.js';
import type { Identifier } from './identity.js';
import { skeletonOf } from './lookalikes.js';
import { User } from './user.entity.js';

const USER = `SELECT ${columnsOf(User)} FROM users`;

export function findActiveUser(db: EntityManager, id: string): Promise<User | null> {
  return firstRow<User>(db, `${USER} WHERE id = $1 AND active`, [id]);
}

/** The user, and nobody may change him until the transaction ends. */
export function lockActiveUser(tx: EntityManager, id: string): Promise<User | null> {
  return firstRow<User>(tx, `${USER} WHERE id = $1 AND active FOR NO KEY UPDATE`, [id]);
}

/** The same for an inactive one too, who may even be removed meanwhile. */
export function lockUser(tx: EntityManager, id: string): Promise<User | null> {
  return firstRow<User>(tx, `${USER} WHERE id = $1 FOR UPDATE`, [id]);
}

/**
 * Waits for, and holds, the user's row: what is counted per user is counted one at a time. The weaker lock holds off
 * every change of the row, but not the foreign keys that point to it.
 */
export async function holdUser(tx: EntityManager, id: string): Promise<void> {
  await rowsOf(tx, 'SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE', [id]);
}

/** Whom a canonical identifier names; an address that does not identify names nobody: several users may have it. */
export function findIdentified(db: EntityManager, { kind, canonical }: Identifier): Promise<User | null> {
  const named = {
    email: 'email_canonical = $1 AND email_identifies',
    phone: 'phone_number = $1 AND phone_identifies',
    username: 'username_canonical = $1',
  };
  return firstRow<User>(db, `${USER} WHERE ${named[kind]}`, [canonical]);
}

export interface NewUser {
  id: string;
  email: string | null;
  emailCanonical: string | null;
  username: string | null;
  usernameCanonical: string | null;
  phoneNumber: string | null;
  locale: string | null;
  firstName: string;
  lastName: string;
  profile: Readonly<Record<string, string>>;
  passwordHash: string | null;
}

/** A user with an id and what is known of him; the rest is absent. */
export function newUser(known: Partial<Omit<NewUser, 'id'>>): NewUser {
  return {
    id: uuidv7(),
    email: null,
    emailCanonical: null,
    username: null,
    usernameCanonical: null,
    phoneNumber: null,
    locale: null,
    firstName: '',
    lastName: '',
    profile: {},
    passwordHash: null,
    ...known,
  };
}

/** Which addresses identify a user, and are his alone then. */
export interface Identifying {
  email: boolean;
  phone: boolean;
}

/** Inserts a user; false where what identifies him is taken, also by a registration at this very moment. */
export async function insertUser(tx: EntityManager, user: NewUser, identifying: Identifying): Promise<boolean> {
  const inserted = await firstRow(
    tx,
    `INSERT INTO users (id, email, email_canonical, email_identifies, username, username_canonical, username_skeleton,
                        phone_number, phone_identifies, first_name, last_name, profile, roles, active, password_hash,
                        locale, two_factor_required, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '{}', true, $13, $14, false, now(), now())
     ON CONFLICT DO NOTHING RETURNING id`,
    [
      user.id,
      user.email,
      user.emailCanonical,
      identifying.email,
      user.username,
      user.usernameCanonical,
      user.usernameCanonical === null || user.username === null ? null : skeletonOf(user.username),
      user.phoneNumber,
      identifying.phone,
      user.firstName,
      user.lastName,
      user.profile,
      user.passwordHash,
      user.locale,
    ],
  );
  return inserted !== null;
}

/** Marks a user that is no account until his address is proved. */
export async function setRegistering(tx: EntityManager, userId: string): Promise<void> {
  await rowsOf(tx, `UPDATE users SET registering_until = now() + interval '1 day' WHERE id = $1`, [userId]);
}

/** Removes a user and, with the row, everything that is his; the audit log has no foreign key and stays. */
export async function deleteUser(tx: EntityManager, userId: string): Promise<void> {
  await rowsOf(tx, 'DELETE FROM users WHERE id = $1', [userId]);
}

export async function storeProfile(
  tx: EntityManager,
  userId: string,
  { firstName, lastName, locale, profile }: Pick<NewUser, 'firstName' | 'lastName' | 'locale' | 'profile'>,
): Promise<void> {
  await rowsOf(
    tx,
    'UPDATE users SET first_name = $2, last_name = $3, locale = $4, profile = $5, updated_at = now() WHERE id = $1',
    [userId, firstName, lastName, locale, profile],
  );
}

export async function storeRoles(tx: EntityManager, userId: string, roles: readonly string[]): Promise<void> {
  await rowsOf(tx, 'UPDATE users SET roles = $2, updated_at = now() WHERE id = $1', [userId, roles]);
}

/** With a new epoch: a link or a code token from before must not outlive a deactivation. */
export async function storeActive(tx: EntityManager, userId: string, active: boolean): Promise<void> {
  await rowsOf(tx, 'UPDATE users SET active = $2, epoch = epoch + 1, updated_at = now() WHERE id = $1', [
    userId,
    active,
  ]);
}

/** Takes a user's own settings of the second factor back to what the policy says, in a new epoch. */
export async function forgetPreferences(tx: EntityManager, userId: string, keepRequired: boolean): Promise<void> {
  await rowsOf(
    tx,
    `UPDATE users SET preferred_method = NULL, two_factor_required = two_factor_required AND $2, epoch = epoch + 1,
            updated_at = now() WHERE id = $1`,
    [userId, keepRequired],
  );
}

/** Makes every open challenge and enrollment of the user void, and locks his row for the rest of the transaction. */
export async function bumpEpoch(tx: EntityManager, userId: string): Promise<void> {
  await firstRow(tx, 'UPDATE users SET epoch = epoch + 1, updated_at = now() WHERE id = $1 RETURNING epoch', [userId]);
}

/**
 * Stores a password if the hash is still the one that was checked: of two changes at once the second is refused, not
 * silently lost.
 */
export async function replacePassword(
  tx: EntityManager,
  userId: string,
  checkedHash: string,
  newHash: string,
): Promise<boolean> {
  const replaced = await firstRow(
    tx,
    `UPDATE users SET password_hash = $3, password_by = NULL, epoch = epoch + 1, updated_at = now()
     WHERE id = $1 AND password_hash = $2 AND active RETURNING id`,
    [userId, checkedHash, newHash],
  );
  return replaced !== null;
}

/** A code sent to the address came back. Nothing happens where the user's address has changed since. */
export async function markEmailVerified(tx: EntityManager, userId: string, emailCanonical: string): Promise<void> {
  await firstRow(
    tx,
    `UPDATE users SET email_verified_at = now(), updated_at = now()
     WHERE id = $1 AND email_canonical = $2 AND email_verified_at IS NULL RETURNING id`,
    [userId, emailCanonical],
  );
}

/** The same for a phone number. */
export async function markPhoneVerified(tx: EntityManager, userId: string, phoneNumber: string): Promise<void> {
  await firstRow(
    tx,
    `UPDATE users SET phone_verified_at = now(), updated_at = now()
     WHERE id = $1 AND phone_number = $2 AND phone_verified_at IS NULL RETURNING id`,
    [userId, phoneNumber],
  );
}

/** Stores a password whatever was there before, for somebody who read a message; `by` null: whom an operator trusts. */
export async function setPassword(
  tx: EntityManager,
  userId: string,
  passwordHash: string,
  by: 'email' | 'sms' | null,
): Promise<void> {
  await firstRow(tx, 'UPDATE users SET password_hash = $2, password_by = $3 WHERE id = $1 RETURNING id', [
    userId,
    passwordHash,
    by,
  ]);
}

/** The same password, hashed anew: nothing else changes. False where another request was quicker. */
export async function renewHash(db: EntityManager, userId: string, checked: string, renewed: string): Promise<boolean> {
  const row = await firstRow(
    db,
    'UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2 RETURNING id',
    [userId, checked, renewed],
  );
  return row !== null;
}
