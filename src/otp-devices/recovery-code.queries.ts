import type { EntityManager } from 'typeorm';
import { crashAt } from '../config/failpoints.js';
import { firstRow, rowsOf } from '../database/sql.js';

/** Replaces the user's sheet by a new one: a device of its own, confirmed at once. */
export async function replaceSheet(
  tx: EntityManager,
  sheet: { deviceId: string; userId: string; hashes: readonly Buffer[] },
): Promise<void> {
  await deleteSheet(tx, sheet.userId);
  crashAt('replacing-recovery-codes');
  await rowsOf(
    tx,
    `INSERT INTO otp_devices (id, user_id, type, name, created_at, confirmed_at)
     VALUES ($1, $2, 'recovery_codes', '', now(), now())`,
    [sheet.deviceId, sheet.userId],
  );
  await rowsOf(tx, 'INSERT INTO recovery_codes (device_id, hash) SELECT $1, unnest($2::bytea[])', [
    sheet.deviceId,
    [...sheet.hashes],
  ]);
}

export async function deleteSheet(tx: EntityManager, userId: string): Promise<void> {
  await rowsOf(tx, `DELETE FROM otp_devices WHERE user_id = $1 AND type = 'recovery_codes'`, [userId]);
}

/** Whether the sheet has this code, hashed with any key, and it was not used. Call it with the device locked. */
export async function hasUnusedCode(tx: EntityManager, deviceId: string, hashes: readonly Buffer[]): Promise<boolean> {
  const found = await firstRow(
    tx,
    'SELECT 1 FROM recovery_codes WHERE device_id = $1 AND hash = ANY ($2) AND used_at IS NULL',
    [deviceId, hashes],
  );
  return found !== null;
}

/** Uses a code up: of parallel attempts one gets how many are left, the others null. */
export function useCode(
  tx: EntityManager,
  deviceId: string,
  hashes: readonly Buffer[],
): Promise<{ left: number } | null> {
  return firstRow<{ left: number }>(
    tx,
    `WITH used AS (UPDATE recovery_codes SET used_at = now()
                   WHERE device_id = $1 AND hash = ANY ($2) AND used_at IS NULL RETURNING hash)
     SELECT (SELECT count(*) FROM recovery_codes WHERE device_id = $1 AND used_at IS NULL)::int - 1 AS left FROM used`,
    [deviceId, hashes],
  );
}
