import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { rowsOf } from '../database/sql.js';
import type { AuditEvents, AuditEventType } from './audit-events.js';
import type { Client } from './client.js';

/** Who does something to an account: its user, an administrator, somebody at the command line, or the service itself. */
export type Actor = { kind: 'user' | 'cli' | 'system' } | { kind: 'admin'; userId: string };

interface Subject {
  userId: string | null;
  /** Who acts. By default the user himself, or where there is no client the system. */
  actor?: Actor;
  sessionId?: string;
  client?: Client;
}

@Injectable()
export class Audit {
  /** One row in the caller's transaction: what was rolled back was never recorded. Never pass a secret. */
  async record<T extends AuditEventType>(
    tx: EntityManager,
    type: T,
    { userId, sessionId, client, actor = { kind: client ? 'user' : 'system' } }: Subject,
    details: AuditEvents[T],
  ): Promise<void> {
    await rowsOf(
      tx,
      `INSERT INTO audit_events (id, type, at, user_id, actor, actor_id, session_id, request_id, ip, user_agent, details)
       VALUES ($1, $2, now(), $3, $4, $5, $6, $7, $8, $9, $10)`,
      [
        uuidv7(),
        type,
        userId,
        actor.kind,
        actor.kind === 'admin' ? actor.userId : null,
        sessionId ?? null,
        client?.requestId ?? null,
        client?.ip ?? null,
        client?.userAgent ?? null,
        details,
      ],
    );
  }
}
