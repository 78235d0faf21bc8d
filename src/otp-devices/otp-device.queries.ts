import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import type { MethodType } from '../two-factor/policy.js';
import type { OtpDevice } from './otp-device.entity.js';

const COLUMNS = `id, user_id AS "userId", type, name, address, sealed_secret AS "sealedSecret", last_step AS "lastStep",
  failures, blocked_until AS "blockedUntil", disabled_at AS "disabledAt", created_at AS "createdAt",
  expires_at AS "expiresAt", confirmed_at AS "confirmedAt", last_used_at AS "lastUsedAt"`;

export interface PendingDevice {
  id: string;
  userId: string;
  type: MethodType;
  name: string;
  address: string | null;
  sealedSecret: string | null;
  ttlSeconds: number;
}

/**
 * Inserts a pending device in place of the user's other pending ones of the type: asking again replaces only what was
 * never confirmed. An address that the user enrolled before gives the device that there is; one that may wait longer
 * keeps its time.
 */
export async function insertPendingDevice(tx: EntityManager, device: PendingDevice): Promise<OtpDevice> {
  await rowsOf(
    tx,
    `DELETE FROM otp_devices
     WHERE user_id = $1 AND type = $2 AND confirmed_at IS NULL AND expires_at IS NOT NULL
       AND (address IS NULL OR address <> $3)`,
    [device.userId, device.type, device.address],
  );
  const row = await firstRow<OtpDevice>(
    tx,
    `INSERT INTO otp_devices (id, user_id, type, name, address, sealed_secret, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, now(), now() + make_interval(secs => $7))
     ON CONFLICT (user_id, type, address) WHERE address IS NOT NULL DO UPDATE SET
       name = CASE WHEN excluded.name = '' THEN otp_devices.name ELSE excluded.name END,
       expires_at = CASE WHEN otp_devices.confirmed_at IS NULL
                         THEN greatest(otp_devices.expires_at, excluded.expires_at) END
     RETURNING ${COLUMNS}`,
    [device.id, device.userId, device.type, device.name, device.address, device.sealedSecret, device.ttlSeconds],
  );
  if (!row) throw new Error('A device was not inserted');
  return row;
}

/**
 * The device of an account's own address, which the fallback asks. It needs no enrollment, does not expire, and is
 * confirmed by the first right code.
 */
export async function ensureAddressDevice(
  tx: EntityManager,
  device: { id: string; userId: string; type: MethodType; address: string },
): Promise<OtpDevice> {
  const row = await firstRow<OtpDevice>(
    tx,
    `INSERT INTO otp_devices (id, user_id, type, name, address, created_at)
     VALUES ($1, $2, $3, '', $4, now())
     ON CONFLICT (user_id, type, address) WHERE address IS NOT NULL DO UPDATE SET expires_at = NULL
     RETURNING ${COLUMNS}`,
    [device.id, device.userId, device.type, device.address],
  );
  if (!row) throw new Error('A device was not inserted');
  return row;
}

const VISIBLE = '(confirmed_at IS NOT NULL OR expires_at > now())';

/** Confirmed devices and pending ones that have not expired. */
export function findDevices(db: EntityManager, userId: string): Promise<OtpDevice[]> {
  return rowsOf<OtpDevice>(
    db,
    `SELECT ${COLUMNS} FROM otp_devices WHERE user_id = $1 AND ${VISIBLE} ORDER BY created_at, id`,
    [userId],
  );
}

/** One device of this user, whoever asks; an expired pending one is marked by `expired`. */
export function findOwnDevice(
  db: EntityManager,
  userId: string,
  deviceId: string,
): Promise<(OtpDevice & { expired: boolean }) | null> {
  return firstRow<OtpDevice & { expired: boolean }>(
    db,
    `SELECT ${COLUMNS}, (confirmed_at IS NULL AND coalesce(expires_at <= now(), false)) AS expired
     FROM otp_devices WHERE id = $1 AND user_id = $2`,
    [deviceId, userId],
  );
}

/** Locks a device for the rest of the transaction; null where it was removed meanwhile. */
export function lockDevice(tx: EntityManager, deviceId: string): Promise<OtpDevice | null> {
  return firstRow<OtpDevice>(tx, `SELECT ${COLUMNS} FROM otp_devices WHERE id = $1 FOR UPDATE`, [deviceId]);
}

/**
 * Stores a right answer: the time step, which only ever moves forward, the use, and the end of the failures in a row.
 * @returns false where the step was used before
 */
export async function storeProof(tx: EntityManager, deviceId: string, lastStep: number | null): Promise<boolean> {
  const stored = await firstRow(
    tx,
    `UPDATE otp_devices SET last_step = coalesce($2, last_step), last_used_at = now(), failures = 0, blocked_until = NULL
     WHERE id = $1 AND ($2::bigint IS NULL OR last_step IS NULL OR last_step < $2) RETURNING id`,
    [deviceId, lastStep],
  );
  return stored !== null;
}

/** Confirms a pending device that has not expired; of parallel confirmations one gets true. */
export async function confirmDevice(tx: EntityManager, deviceId: string): Promise<boolean> {
  const confirmed = await firstRow(
    tx,
    `UPDATE otp_devices SET confirmed_at = now(), expires_at = NULL
     WHERE id = $1 AND confirmed_at IS NULL AND (expires_at IS NULL OR expires_at > now()) RETURNING id`,
    [deviceId],
  );
  return confirmed !== null;
}

export async function deleteDevice(tx: EntityManager, deviceId: string): Promise<void> {
  await rowsOf(tx, 'DELETE FROM otp_devices WHERE id = $1', [deviceId]);
}

/** Removes every device of a user, pending ones too, with their challenges and recovery codes; how many. */
export async function deleteDevicesOf(tx: EntityManager, userId: string): Promise<number> {
  return (await rowsOf(tx, 'DELETE FROM otp_devices WHERE user_id = $1 RETURNING id', [userId])).length;
}

/** Ends pauses and opens devices that were closed after too many failures; how many of both. */
export async function unlockDevices(tx: EntityManager, userId: string): Promise<number> {
  const unlocked = await rowsOf(
    tx,
    `UPDATE otp_devices SET failures = 0, blocked_until = NULL, disabled_at = NULL
     WHERE user_id = $1 AND (failures > 0 OR disabled_at IS NOT NULL) RETURNING id`,
    [userId],
  );
  return unlocked.length;
}

export async function renameDevice(db: EntityManager, deviceId: string, name: string): Promise<void> {
  await rowsOf(db, 'UPDATE otp_devices SET name = $2 WHERE id = $1', [deviceId, name]);
}
