import type { EntityManager } from 'typeorm';
import type { SigningAlgorithm } from '../config/signing-key.js';
import { firstRow, rowsOf } from '../database/sql.js';
import type { KeyLife } from './key-life.js';
import type { PublicJwk } from './key-material.js';

/** Any fixed number: whoever changes the ring queues here, so that two replicas that rotate make one key. */
const RING_LOCK = 4_227_002;

const NEXT = 'activates_at > now() AND expires_at IS NULL';
const CURRENT = 'activates_at <= now() AND (retires_at IS NULL OR retires_at > now())';
const LIVE = '(expires_at IS NULL OR expires_at > now())';
const LIFE = 'activates_at AS "activatesAt", retires_at AS "retiresAt", expires_at AS "expiresAt"';

export interface NewSigningKey {
  kid: string;
  algorithm: SigningAlgorithm;
  publicJwk: PublicJwk | null;
  sealedPrivateKey: string;
}

export interface LiveSigningKey extends KeyLife {
  kid: string;
  algorithm: SigningAlgorithm;
  sealedPrivateKey: string;
  /** The database's clock when it was read. */
  now: Date;
}

export interface ListedSigningKey extends KeyLife {
  kid: string;
  algorithm: SigningAlgorithm;
  createdAt: Date;
  now: Date;
}

export async function lockRing(tx: EntityManager): Promise<void> {
  await rowsOf(tx, 'SELECT pg_advisory_xact_lock($1)', [RING_LOCK]);
}

export function findLiveKeys(db: EntityManager): Promise<LiveSigningKey[]> {
  return rowsOf<LiveSigningKey>(
    db,
    `SELECT kid, algorithm, sealed_private_key AS "sealedPrivateKey", ${LIFE}, now() AS now
     FROM signing_keys WHERE ${LIVE}`,
    [],
  );
}

export function listKeys(db: EntityManager): Promise<ListedSigningKey[]> {
  return rowsOf<ListedSigningKey>(
    db,
    `SELECT kid, algorithm, created_at AS "createdAt", ${LIFE}, now() AS now
     FROM signing_keys ORDER BY activates_at DESC, kid`,
    [],
  );
}

export function findNextKey(db: EntityManager): Promise<{ kid: string; activatesAt: Date } | null> {
  return firstRow(db, `SELECT kid, activates_at AS "activatesAt" FROM signing_keys WHERE ${NEXT}`, []);
}

/** The last key that signs or is going to, and for how long it has: less than nothing where it has not begun. */
export function findLastKey(db: EntityManager): Promise<{ algorithm: SigningAlgorithm; age: number } | null> {
  return firstRow(
    db,
    `SELECT algorithm, extract(epoch FROM now() - activates_at)::float8 AS age FROM signing_keys
     WHERE retires_at IS NULL ORDER BY activates_at DESC LIMIT 1`,
    [],
  );
}

export async function hasCurrentKey(db: EntityManager): Promise<boolean> {
  return (await firstRow(db, `SELECT 1 FROM signing_keys WHERE ${CURRENT} LIMIT 1`, [])) !== null;
}

/** @returns when it begins to sign */
export async function insertKey(tx: EntityManager, key: NewSigningKey, inSeconds: number): Promise<Date> {
  const [row] = await rowsOf<{ activatesAt: Date }>(
    tx,
    `INSERT INTO signing_keys (kid, algorithm, public_jwk, sealed_private_key, created_at, activates_at)
     VALUES ($1, $2, $3, $4, now(), now() + make_interval(secs => $5)) RETURNING activates_at AS "activatesAt"`,
    [key.kid, key.algorithm, key.publicJwk, key.sealedPrivateKey, inSeconds],
  );
  if (!row) throw new Error('A signing key was not stored');
  return row.activatesAt;
}

/** Lets the present key sign for so many seconds more, and verify for `verifiesOn` seconds after that. */
export function planRetirement(
  tx: EntityManager,
  inSeconds: number,
  verifiesOn: number,
): Promise<{ kid: string; expiresAt: Date }[]> {
  return rowsOf(
    tx,
    `UPDATE signing_keys SET retires_at = now() + make_interval(secs => $1),
       expires_at = now() + make_interval(secs => $1::float8 + $2::float8)
     WHERE retires_at IS NULL RETURNING kid, expires_at AS "expiresAt"`,
    [inSeconds, verifiesOn],
  );
}

/** Ends a key this moment: it neither signs nor verifies. Null where there is no such key any more. */
export function expireKey(tx: EntityManager, kid: string): Promise<{ expiresAt: Date } | null> {
  return firstRow(
    tx,
    `UPDATE signing_keys SET retires_at = least(retires_at, now()), expires_at = now()
     WHERE kid = $1 AND ${LIVE} RETURNING expires_at AS "expiresAt"`,
    [kid],
  );
}

/** Where nothing comes next any more, what was to make room for it stays. */
export async function cancelRetirement(tx: EntityManager): Promise<void> {
  await rowsOf(
    tx,
    `UPDATE signing_keys SET retires_at = NULL, expires_at = NULL
     WHERE retires_at > now() AND NOT EXISTS (SELECT FROM signing_keys WHERE ${NEXT})`,
    [],
  );
}

/** Lets the next key sign before its time. Many verifiers know it already. */
export function activateNextKey(tx: EntityManager): Promise<{ kid: string } | null> {
  return firstRow(tx, `UPDATE signing_keys SET activates_at = now() WHERE ${NEXT} RETURNING kid`, []);
}

export async function removeExpiredKeys(db: EntityManager): Promise<void> {
  await rowsOf(db, 'DELETE FROM signing_keys WHERE expires_at <= now()', []);
}
