import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { AuditEventType } from './audit-events.js';

/** One thing that happened. Rows are only ever inserted. */
@Entity('audit_events')
export class AuditEvent {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ type: 'text' })
  type!: AuditEventType;

  @Column({ type: 'timestamptz' })
  at!: Date;

  @Column({ type: 'uuid', nullable: true })
  userId!: string | null;

  /** Who acted: `user`, `admin`, `cli` or `system`. */
  @Column({ type: 'text' })
  actor!: string;

  /** The administrator who acted. */
  @Column({ type: 'uuid', nullable: true })
  actorId!: string | null;

  @Column({ type: 'uuid', nullable: true })
  sessionId!: string | null;

  @Column({ type: 'text', nullable: true })
  requestId!: string | null;

  @Column({ type: 'text', nullable: true })
  ip!: string | null;

  @Column({ type: 'text', nullable: true })
  userAgent!: string | null;

  @Column({ type: 'jsonb' })
  details!: Record<string, unknown>;
}
