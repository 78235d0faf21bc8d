import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { firstRow, rowsOf } from '../database/sql.js';

export interface SocialIdentity {
  provider: string;
  issuer: string;
  subject: string;
  /** As the provider said; proves nothing. */
  email: string | null;
}

export interface ConnectedIdentity {
  provider: string;
  issuer: string;
  email: string | null;
  createdAt: Date;
  lastUsedAt: Date;
}

const CONNECTED = 'provider, issuer, email, created_at AS "createdAt", last_used_at AS "lastUsedAt"';

/**
 * Who comes first decides whose an identity becomes; the others wait until the transaction ends and find its user. A
 * row to lock is not there yet, so its name is locked. Always before a user is: in two orders two could wait forever.
 */
export async function lockIdentity(tx: EntityManager, { issuer, subject }: SocialIdentity): Promise<void> {
  await rowsOf(tx, 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`social\n${issuer}\n${subject}`]);
}

export function findOwner(db: EntityManager, { issuer, subject }: SocialIdentity): Promise<{ userId: string } | null> {
  return firstRow<{ userId: string }>(
    db,
    'SELECT user_id AS "userId" FROM social_identities WHERE issuer = $1 AND subject = $2',
    [issuer, subject],
  );
}

/** Null where the user has another identity of the provider, or somebody has this one. */
export function insertIdentity(
  tx: EntityManager,
  userId: string,
  { provider, issuer, subject, email }: SocialIdentity,
): Promise<ConnectedIdentity | null> {
  return firstRow<ConnectedIdentity>(
    tx,
    `INSERT INTO social_identities (id, user_id, provider, issuer, subject, email, created_at, last_used_at)
     VALUES ($1, $2, $3, $4, $5, $6, now(), now()) ON CONFLICT DO NOTHING RETURNING ${CONNECTED}`,
    [uuidv7(), userId, provider, issuer, subject, email],
  );
}

/** It was used now, and the provider says this address. */
export function touchIdentity(
  tx: EntityManager,
  { issuer, subject, email }: SocialIdentity,
): Promise<ConnectedIdentity | null> {
  return firstRow<ConnectedIdentity>(
    tx,
    `UPDATE social_identities SET last_used_at = now(), email = $3
     WHERE issuer = $1 AND subject = $2 RETURNING ${CONNECTED}`,
    [issuer, subject, email],
  );
}

export function findIdentitiesOf(db: EntityManager, userId: string): Promise<ConnectedIdentity[]> {
  return rowsOf<ConnectedIdentity>(
    db,
    `SELECT ${CONNECTED} FROM social_identities WHERE user_id = $1 ORDER BY created_at, id`,
    [userId],
  );
}

export function deleteIdentity(tx: EntityManager, userId: string, provider: string): Promise<ConnectedIdentity | null> {
  return firstRow<ConnectedIdentity>(
    tx,
    `DELETE FROM social_identities WHERE user_id = $1 AND provider = $2 RETURNING ${CONNECTED}`,
    [userId, provider],
  );
}

/** Names are filled where there are none: what somebody wrote himself stays. */
export async function fillNames(
  tx: EntityManager,
  userId: string,
  { firstName, lastName }: { firstName: string; lastName: string },
): Promise<void> {
  await firstRow(
    tx,
    `UPDATE users SET first_name = CASE WHEN first_name = '' THEN $2 ELSE first_name END,
            last_name = CASE WHEN last_name = '' THEN $3 ELSE last_name END, updated_at = now()
     WHERE id = $1 AND ((first_name = '' AND $2 <> '') OR (last_name = '' AND $3 <> '')) RETURNING id`,
    [userId, firstName, lastName],
  );
}
