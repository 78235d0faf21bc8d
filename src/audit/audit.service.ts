import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Keys } from '../crypto/keys.js';
import { rowsOf } from '../database/sql.js';
import type { AuditEvents, AuditEventType } from './audit-events.js';
import { recordMac } from './chain.js';
import type { Client } from './client.js';

/** Who does something to an account: its user, an administrator, somebody at the command line, or the service itself. */
export type Actor = { kind: 'user' | 'cli' | 'system' } | { kind: 'admin'; userId: string };

/** Whom an event is about. */
interface Subject {
  userId: string | null;
  sessionId?: string;
}

/** Who acts, and from where. */
export interface By {
  /** By default the user himself, or where there is no client the system. */
  actor?: Actor;
  client?: Client;
}

@Injectable()
export class Audit {
  constructor(private readonly keys: Keys) {}

  /** One row in the caller's transaction: what was rolled back was never recorded. Never pass a secret. */
  async record<T extends AuditEventType>(
    tx: EntityManager,
    type: T,
    { userId, sessionId, ...by }: Subject & By,
    details: AuditEvents[T],
  ): Promise<void> {
    await this.recordEach(tx, type, [{ userId, ...(sessionId === undefined ? {} : { sessionId }) }], by, details);
  }

  /** The same event for each of many subjects, in one statement. */
  async recordEach<T extends AuditEventType>(
    tx: EntityManager,
    type: T,
    subjects: readonly Subject[],
    { client, actor = { kind: client ? 'user' : 'system' } }: By,
    details: AuditEvents[T],
  ): Promise<void> {
    const shared = {
      type,
      actor: actor.kind,
      actorId: actor.kind === 'admin' ? actor.userId : null,
      requestId: client?.requestId ?? null,
      ip: client?.ip ?? null,
      userAgent: client?.userAgent ?? null,
      details: details as Record<string, unknown>,
    };
    const events = subjects.map(({ userId, sessionId = null }) => ({ id: uuidv7(), userId, sessionId, ...shared }));
    const key = this.keys.for('audit-chain');
    await rowsOf(
      tx,
      `WITH recorded AS (
         INSERT INTO audit_events (id, type, at, user_id, session_id, actor, actor_id, request_id, ip, user_agent, details)
         SELECT event.id, $5, now(), event.user_id, event.session_id, $6, $7::uuid, $8, $9, $10, $11
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS event (id, user_id, session_id))
       INSERT INTO audit_unsealed (event_id, mac) SELECT * FROM unnest($1::uuid[], $4::bytea[])`,
      [
        events.map(({ id }) => id),
        events.map(({ userId }) => userId),
        events.map(({ sessionId }) => sessionId),
        events.map((event) => recordMac(key, event)),
        shared.type,
        shared.actor,
        shared.actorId,
        shared.requestId,
        shared.ip,
        shared.userAgent,
        shared.details,
      ],
    );
  }
}
