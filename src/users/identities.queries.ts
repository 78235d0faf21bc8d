import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import { databaseCodeOf } from '../problems/database-away.js';
import { skeletonOf } from './lookalikes.js';
import type { Identifying, NewUser } from './user.queries.js';

const UNIQUE_VIOLATION = '23505';

/** An address that its user has proved. */
export interface ProvedAddress {
  type: 'email' | 'sms';
  /** As mails are sent to it. */
  address: string;
  canonical: string;
}

/**
 * Gives a user an address that he has proved, in the place of the present one. Of several users who have proved the
 * same one the first gets it, where it identifies; the others wait here until he has it or not.
 * @returns false where it is taken
 */
export function storeAddress(
  tx: EntityManager,
  userId: string,
  { type, address, canonical }: ProvedAddress,
  identifying: Identifying,
): Promise<boolean> {
  if (type === 'sms') {
    return unlessTaken(tx, (inner) =>
      rowsOf(
        inner,
        `UPDATE users SET phone_number = $2, phone_identifies = $3, phone_verified_at = now(), updated_at = now()
         WHERE id = $1`,
        [userId, canonical, identifying.phone],
      ),
    );
  }
  return unlessTaken(tx, (inner) =>
    rowsOf(
      inner,
      `UPDATE users SET email = $2, email_canonical = $3, email_identifies = $4, email_verified_at = now(),
              updated_at = now() WHERE id = $1`,
      [userId, address, canonical, identifying.email],
    ),
  );
}

/** The same for a username, which needs no proof. */
export function storeUsername(
  tx: EntityManager,
  userId: string,
  username: string,
  usernameCanonical: string,
): Promise<boolean> {
  return unlessTaken(tx, (inner) =>
    rowsOf(
      inner,
      `UPDATE users SET username = $2, username_canonical = $3, username_skeleton = $4, updated_at = now()
       WHERE id = $1`,
      [userId, username, usernameCanonical, skeletonOf(username)],
    ),
  );
}

/** Takes what identifies or reaches a user away. */
export async function removeIdentity(
  tx: EntityManager,
  userId: string,
  field: 'email' | 'phoneNumber' | 'username',
): Promise<void> {
  const columns = {
    email: 'email = NULL, email_canonical = NULL, email_verified_at = NULL',
    phoneNumber: 'phone_number = NULL, phone_verified_at = NULL',
    username: 'username = NULL, username_canonical = NULL, username_skeleton = NULL',
  }[field];
  await rowsOf(tx, `UPDATE users SET ${columns}, updated_at = now() WHERE id = $1`, [userId]);
}

export interface Owner {
  id: string;
  email: string | null;
  emailCanonical: string | null;
  locale: string | null;
}

export type WantedIdentity = Pick<NewUser, 'emailCanonical' | 'phoneNumber' | 'username' | 'usernameCanonical'>;

/** Who has one of these identities, or a username that looks like this one. */
export function findOwner(
  db: EntityManager,
  { emailCanonical, phoneNumber, username, usernameCanonical }: WantedIdentity,
): Promise<Owner | null> {
  return firstRow<Owner>(
    db,
    `SELECT id, email, email_canonical AS "emailCanonical", locale FROM users
     WHERE (email_canonical = $1 AND email_identifies) OR (phone_number = $2 AND phone_identifies)
        OR username_canonical = $3 OR username_skeleton = $4
     ORDER BY email_canonical = $1 DESC NULLS LAST, email IS NULL, created_at LIMIT 1`,
    [emailCanonical, phoneNumber, usernameCanonical, username === null ? null : skeletonOf(username)],
  );
}

/** In a savepoint, so that the transaction goes on after a refusal. */
async function unlessTaken(tx: EntityManager, update: (inner: EntityManager) => Promise<unknown>): Promise<boolean> {
  try {
    await tx.transaction(update);
    return true;
  } catch (error) {
    if (databaseCodeOf(error) === UNIQUE_VIOLATION) return false;
    throw error;
  }
}
