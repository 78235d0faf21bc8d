import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';

/** What a link that was sent is good for. The purpose is part of its hash and of its row. */
export type SentLinkPurpose = 'magic_link' | 'password_reset';

/** A link that was printed for an operator chooses a password like one that was sent, but proves no mailbox. */
export type LinkPurpose = SentLinkPurpose | 'printed_password_reset';

/** A change of the account's security (a new epoch) or its deactivation makes open links worthless. */
const OPEN = `consumed_at IS NULL AND expires_at > now()
  AND epoch = (SELECT u.epoch FROM users u WHERE u.id = links.user_id AND u.active)`;

export async function insertLink(
  tx: EntityManager,
  link: {
    id: string;
    userId: string;
    purpose: LinkPurpose;
    tokenHash: Buffer;
    redirectTo: string | null;
    ttlSeconds: number;
  },
): Promise<{ expiresAt: Date }> {
  // Only the newest link of a purpose works: one that is found later in a mailbox is worth nothing.
  await rowsOf(tx, 'DELETE FROM links WHERE user_id = $1 AND purpose = $2', [link.userId, link.purpose]);
  const row = await firstRow<{ expiresAt: Date }>(
    tx,
    `INSERT INTO links (id, user_id, purpose, token_hash, redirect_to, created_at, expires_at, epoch)
     SELECT $1, id, $3, $4, $5, now(), now() + make_interval(secs => $6), epoch FROM users WHERE id = $2
     RETURNING expires_at AS "expiresAt"`,
    [link.id, link.userId, link.purpose, link.tokenHash, link.redirectTo, link.ttlSeconds],
  );
  if (!row) throw new Error('A link was not inserted');
  return row;
}

/** Whose a link is that can still be used; nothing happens to it. */
export function findOpenLink(
  db: EntityManager,
  purpose: LinkPurpose,
  tokenHash: Buffer,
): Promise<{ userId: string } | null> {
  return firstRow<{ userId: string }>(
    db,
    `SELECT user_id AS "userId" FROM links WHERE token_hash = $2 AND purpose = $1 AND ${OPEN}`,
    [purpose, tokenHash],
  );
}

/** Uses a link up: of parallel redemptions one gets whose it was. */
export function consumeLink(
  tx: EntityManager,
  purpose: LinkPurpose,
  tokenHash: Buffer,
): Promise<{ userId: string } | null> {
  return firstRow<{ userId: string }>(
    tx,
    `UPDATE links SET consumed_at = now()
     WHERE token_hash = $2 AND purpose = $1 AND ${OPEN}
     RETURNING user_id AS "userId"`,
    [purpose, tokenHash],
  );
}
