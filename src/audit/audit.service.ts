import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { rowsOf } from '../database/sql.js';
import type { AuditEvents, AuditEventType } from './audit-events.js';
import type { Client } from './client.js';

interface Subject {
  userId: string | null;
  sessionId?: string;
  client: Client;
}

@Injectable()
export class Audit {
  /** One row in the caller's transaction: what was rolled back was never recorded. Never pass a secret. */
  async record<T extends AuditEventType>(
    tx: EntityManager,
    type: T,
    { userId, sessionId, client }: Subject,
    details: AuditEvents[T],
  ): Promise<void> {
    await rowsOf(
      tx,
      `INSERT INTO audit_events (id, type, at, user_id, actor, session_id, request_id, ip, user_agent, details)
       VALUES ($1, $2, now(), $3, 'user', $4, $5, $6, $7, $8)`,
      [uuidv7(), type, userId, sessionId ?? null, client.requestId, client.ip, client.userAgent, details],
    );
  }
}
