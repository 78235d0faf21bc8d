import type { EntityManager } from 'typeorm';
import { firstRow } from '../database/sql.js';

/** Whether a user has proved that he reads an address, given in its canonical form. */
export async function hasConfirmedDevice(
  tx: EntityManager,
  userId: string,
  type: 'email' | 'sms',
  address: string,
): Promise<boolean> {
  const device = await firstRow(
    tx,
    `SELECT id FROM otp_devices
     WHERE user_id = $1 AND type = $2 AND address = $3 AND confirmed_at IS NOT NULL AND disabled_at IS NULL`,
    [userId, type, address],
  );
  return device !== null;
}
