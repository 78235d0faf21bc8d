import type { TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';

/** What the database remembers of one person, to compare with what was answered. */

export interface ChallengeTrace {
  attempts: number;
  consumed: boolean;
}

/** The sign-ins that were asked for a second factor, oldest first. */
export function challengesOf(app: TestApp, userId: string): Promise<ChallengeTrace[]> {
  return app.sql<ChallengeTrace>(
    `SELECT attempts, consumed_at IS NOT NULL AS consumed FROM challenges
     WHERE user_id = $1 AND purpose = 'sign_in' ORDER BY created_at, id`,
    [userId],
  );
}

export async function sessionsOf(app: TestApp, userId: string): Promise<number> {
  const [row] = await app.sql<{ count: number }>(
    'SELECT count(*)::int AS count FROM sessions WHERE user_id = $1 AND ended_at IS NULL',
    [userId],
  );
  return row?.count ?? 0;
}

/** Failures in a row of a device, as they are counted against it. */
export async function failuresOf(app: TestApp, deviceId: string): Promise<number> {
  const [row] = await app.sql<{ failures: number }>('SELECT failures FROM otp_devices WHERE id = $1', [deviceId]);
  return row?.failures ?? -1;
}

export async function eventsOf(app: TestApp, userId: string, type: string): Promise<number> {
  const [row] = await app.sql<{ count: number }>(
    'SELECT count(*)::int AS count FROM audit_events WHERE user_id = $1 AND type = $2',
    [userId, type],
  );
  return row?.count ?? 0;
}

/** Six digits that no step near the present one gives. */
export function wrongTotp(secret: string, app: TestApp): string {
  const near = [-2, -1, 0, 1, 2].map((steps) => totpCode(secret, app.clock, steps));
  const wrong = ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !near.includes(code));
  return wrong as string;
}

/** Moves on to the beginning of a time step, so that the next half minute belongs to one code. */
export function beginStep(app: TestApp): Promise<void> {
  return app.clock.advance(30 - (app.clock.seconds() % 30));
}
