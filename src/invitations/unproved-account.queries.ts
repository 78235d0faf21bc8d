import type { EntityManager } from 'typeorm';
import { firstRow } from '../database/sql.js';
import type { NewUser } from '../users/user.queries.js';

/**
 * Makes an account whose address nobody has proved begin anew for whoever proves it now: whoever registered the address
 * before him, with a password or another way in of his own, keeps nothing. The new epoch voids what is open.
 *
 * False, and nothing happens, where something else protects the account: a confirmed device, or another address that was
 * proved. A mailbox alone must not take those away; they may be the rightful user's.
 */
export async function beginAnew(
  tx: EntityManager,
  userId: string,
  channel: 'email' | 'sms',
  { passwordHash, firstName, lastName, profile }: Pick<NewUser, 'passwordHash' | 'firstName' | 'lastName' | 'profile'>,
): Promise<boolean> {
  const other =
    channel === 'email'
      ? { verified: 'phone_verified_at', forget: 'phone_number = NULL' }
      : { verified: 'email_verified_at', forget: 'email = NULL, email_canonical = NULL' };
  const row = await firstRow(
    tx,
    `WITH begun AS (
       UPDATE users SET ${other.forget}, password_hash = $2, password_by = NULL, first_name = $3, last_name = $4, profile = $5,
         preferred_method = NULL, epoch = epoch + 1, updated_at = now()
       WHERE id = $1 AND ${other.verified} IS NULL
         AND NOT EXISTS (SELECT 1 FROM otp_devices d WHERE d.user_id = $1 AND d.confirmed_at IS NOT NULL)
       RETURNING id),
     devices AS (DELETE FROM otp_devices WHERE user_id IN (SELECT id FROM begun)),
     identities AS (DELETE FROM social_identities WHERE user_id IN (SELECT id FROM begun))
     SELECT id FROM begun`,
    [userId, passwordHash, firstName, lastName, profile],
  );
  return row !== null;
}
