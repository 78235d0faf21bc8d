import type { EntityManager } from 'typeorm';
import { firstRow, rowsOf } from '../database/sql.js';
import type { MethodType } from '../two-factor/policy.js';

export const INVITATION_STATUSES = ['pending', 'accepted', 'expired', 'revoked'] as const;
export type InvitationStatus = (typeof INVITATION_STATUSES)[number];

/** One message and three more. */
const MOST_MESSAGES = 4;
/** As long as an invitation can live: inviting again must not be a way around the limit of resending. */
const REMEMBERED = `interval '30 days'`;

const OPEN = 'v.accepted_at IS NULL AND v.revoked_at IS NULL AND v.inviter_id IS NOT NULL';
/** Each a plain condition, so that a list of one status is read along its index. */
const IN_STATUS: Readonly<Record<InvitationStatus, string>> = {
  pending: `${OPEN} AND v.expires_at > now()`,
  accepted: 'v.accepted_at IS NOT NULL',
  expired: `${OPEN} AND v.expires_at <= now()`,
  revoked: 'v.accepted_at IS NULL AND (v.revoked_at IS NOT NULL OR v.inviter_id IS NULL)',
};
const PENDING = IN_STATUS.pending;
const STATUS = `CASE ${INVITATION_STATUSES.map((status) => `WHEN ${IN_STATUS[status]} THEN '${status}'`).join(' ')} END`;

export interface NewInvitation {
  id: string;
  inviterId: string;
  /** Canonical. */
  address: string;
  /** As it was typed; null: the address is a phone number. */
  email: string | null;
  roles: readonly string[];
  requireTwoFactor: boolean;
  methods: readonly MethodType[] | null;
  message: string;
  /** For an address without an account; one that has an account is written to in its own language. */
  locale: string | null;
  redirectTo: string | null;
  tokenHash: Buffer;
  lifetimeSeconds: number;
}

/** Who invites, as much of him as messages need. */
export interface Inviter {
  firstName: string;
  lastName: string;
  username: string | null;
  email: string | null;
  phoneNumber: string | null;
  locale: string | null;
}

export interface Invitation {
  id: string;
  inviterId: string | null;
  inviter: Inviter | null;
  address: string;
  email: string | null;
  roles: string[];
  requireTwoFactor: boolean;
  methods: MethodType[] | null;
  message: string;
  locale: string | null;
  redirectTo: string | null;
  status: InvitationStatus;
  createdAt: Date;
  expiresAt: Date;
  acceptedAt: Date | null;
  acceptedBy: string | null;
}

const COLUMNS = `v.id, v.inviter_id AS "inviterId", v.address, v.email, v.roles,
  v.require_two_factor AS "requireTwoFactor", v.methods, v.message, v.locale, v.redirect_to AS "redirectTo",
  ${STATUS} AS status, v.created_at AS "createdAt", v.expires_at AS "expiresAt", v.accepted_at AS "acceptedAt",
  v.accepted_by AS "acceptedBy",
  (SELECT json_build_object('firstName', u.first_name, 'lastName', u.last_name, 'username', u.username,
                            'email', u.email, 'phoneNumber', u.phone_number, 'locale', u.locale)
   FROM users u WHERE u.id = v.inviter_id) AS inviter`;

/** Messages of the inviter to one address that nobody has answered; `inviter` and `address` are expressions. */
const unanswered = (inviter: string, address: string) =>
  `(SELECT coalesce(sum(m.messages), 0) FROM invitations m WHERE m.inviter_id = ${inviter} AND m.address = ${address}
     AND m.accepted_at IS NULL AND m.created_at > now() - ${REMEMBERED})`;

/**
 * Inserts an invitation within the inviter's limits; null where one of them, or an open invitation of the address, says
 * no. His row is locked, so of parallel requests exactly as many get through as there is room for, on all replicas.
 */
export function insertInvitation(
  tx: EntityManager,
  invitation: NewInvitation,
  perDay: number,
): Promise<Invitation | null> {
  return firstRow<Invitation>(
    tx,
    `WITH v AS (
       INSERT INTO invitations (id, inviter_id, address, email, roles, require_two_factor, methods, message, locale,
                                redirect_to, token_hash, lifetime_seconds, created_at, expires_at)
       SELECT $1, $2, $3, $4, $5::text[], $6, $7::text[], $8,
              coalesce((SELECT u.locale FROM users u WHERE (u.email_canonical = $3 AND u.email_identifies)
                                                     OR (u.phone_number = $3 AND u.phone_identifies)), $9),
              $10, $11, $12::integer, now(), now() + make_interval(secs => $12::integer)
       WHERE (SELECT count(*) FROM invitations WHERE inviter_id = $2 AND created_at > now() - interval '1 day') < $13
         AND ${unanswered('$2', '$3')} < ${MOST_MESSAGES}
         AND NOT EXISTS (SELECT 1 FROM invitations v WHERE v.inviter_id = $2 AND v.address = $3 AND ${PENDING})
       RETURNING *)
     SELECT ${COLUMNS} FROM v`,
    [
      invitation.id,
      invitation.inviterId,
      invitation.address,
      invitation.email,
      invitation.roles,
      invitation.requireTwoFactor,
      invitation.methods,
      invitation.message,
      invitation.locale,
      invitation.redirectTo,
      invitation.tokenHash,
      invitation.lifetimeSeconds,
      perDay,
    ],
  );
}

/** Why an invitation was not inserted: an open one, or else seconds until there is room. */
export async function findObstacle(
  tx: EntityManager,
  { inviterId, address }: Pick<NewInvitation, 'inviterId' | 'address'>,
  perDay: number,
): Promise<{ open: boolean; seconds: number }> {
  const row = await firstRow<{ open: boolean; seconds: number | null }>(
    tx,
    `SELECT EXISTS (SELECT 1 FROM invitations v WHERE v.inviter_id = $1 AND v.address = $2 AND ${PENDING}) AS open,
       ceil(extract(epoch FROM greatest(
         (SELECT created_at + interval '1 day' FROM invitations WHERE inviter_id = $1
          ORDER BY created_at DESC OFFSET $3 - 1 LIMIT 1),
         (SELECT min(created_at) + ${REMEMBERED} FROM invitations
          WHERE inviter_id = $1 AND address = $2 AND accepted_at IS NULL AND created_at > now() - ${REMEMBERED}
            AND ${unanswered('$1', '$2')} >= ${MOST_MESSAGES})
       ) - now()))::int AS seconds`,
    [inviterId, address, perDay],
  );
  return { open: row?.open ?? false, seconds: Math.max(1, row?.seconds ?? 1) };
}

/** `inviterId`: only where it is his; null: whoever's it is. */
export function findInvitation(db: EntityManager, id: string, inviterId: string | null): Promise<Invitation | null> {
  return firstRow<Invitation>(
    db,
    `SELECT ${COLUMNS} FROM invitations v WHERE v.id = $1 AND ($2::uuid IS NULL OR v.inviter_id = $2)`,
    [id, inviterId],
  );
}

/** A page, the newest first. */
export function findInvitations(
  db: EntityManager,
  filter: { inviterId: string | null; status: InvitationStatus | null },
  { after, rows }: { after: string | null; rows: number },
): Promise<Invitation[]> {
  const parameters: unknown[] = [];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const conditions = ['true'];
  if (filter.inviterId !== null) conditions.push(`v.inviter_id = ${bind(filter.inviterId)}`);
  if (filter.status !== null) conditions.push(IN_STATUS[filter.status]);
  if (after !== null) conditions.push(`v.id < ${bind(after)}`);
  return rowsOf<Invitation>(
    db,
    `SELECT ${COLUMNS} FROM invitations v WHERE ${conditions.join(' AND ')} ORDER BY v.id DESC LIMIT ${bind(rows)}`,
    parameters,
  );
}

/** A fresh token in the place of the one before, and a fresh life. Null where it is not open, or was sent too often. */
export function renewInvitation(tx: EntityManager, id: string, tokenHash: Buffer): Promise<Invitation | null> {
  return firstRow<Invitation>(
    tx,
    `WITH v AS (
       UPDATE invitations v SET token_hash = $2, messages = v.messages + 1,
         expires_at = now() + make_interval(secs => v.lifetime_seconds)
       WHERE v.id = $1 AND ${PENDING} AND ${unanswered('v.inviter_id', 'v.address')} < ${MOST_MESSAGES}
       RETURNING *)
     SELECT ${COLUMNS} FROM v`,
    [id, tokenHash],
  );
}

/** False where it was accepted or revoked before. */
export async function revokeInvitation(tx: EntityManager, id: string): Promise<boolean> {
  const revoked = await firstRow(
    tx,
    'UPDATE invitations SET revoked_at = now() WHERE id = $1 AND accepted_at IS NULL AND revoked_at IS NULL RETURNING id',
    [id],
  );
  return revoked !== null;
}

/** What a token opens; nothing happens to it. */
export function findOpenInvitation(db: EntityManager, tokenHash: Buffer): Promise<Invitation | null> {
  return firstRow<Invitation>(db, `SELECT ${COLUMNS} FROM invitations v WHERE v.token_hash = $1 AND ${PENDING}`, [
    tokenHash,
  ]);
}

/** Uses an invitation up: of parallel acceptances one gets it. */
export function acceptInvitation(tx: EntityManager, tokenHash: Buffer, userId: string): Promise<Invitation | null> {
  return firstRow<Invitation>(
    tx,
    `WITH v AS (
       UPDATE invitations v SET accepted_at = now(), accepted_by = $2 WHERE v.token_hash = $1 AND ${PENDING} RETURNING *)
     SELECT ${COLUMNS} FROM v`,
    [tokenHash, userId],
  );
}
