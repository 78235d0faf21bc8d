import type { AuditEventType } from './audit-events.js';

/** An event as a SELECT gives it back. */
export interface StoredEvent {
  id: string;
  type: AuditEventType;
  /** UTC to the microsecond, as precise as it is stored: a Date would drop what the chain holds fast. */
  at: string;
  userId: string | null;
  actor: string;
  actorId: string | null;
  sessionId: string | null;
  requestId: string | null;
  ip: string | null;
  userAgent: string | null;
  details: Record<string, unknown>;
}

/** A time of the database as {@link StoredEvent} has it. Such texts sort by time. */
export const preciseTime = (time: string) => `to_char(${time} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** The columns of `audit_events AS e`. */
export const EVENT_COLUMNS = `e.id, e.type, ${preciseTime('e.at')} AS at, e.user_id AS "userId", e.actor,
  e.actor_id AS "actorId", e.session_id AS "sessionId", e.request_id AS "requestId", e.ip,
  e.user_agent AS "userAgent", e.details`;
