import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One signed-in place: one family of refresh tokens. */
@Entity('sessions')
export class Session {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ type: 'uuid' })
  userId!: string;

  /** A first factor (see `Proof`) and method types, in the order they were proved. */
  @Column({ type: 'text', array: true })
  proved!: string[];

  /**
   * The second factor that was proved before: the one that a trusted browser stood in for, or that a lesser step-up took back.
   * Null where there is none.
   */
  @Column({ type: 'text', nullable: true })
  trustedMethod!: string | null;

  /** Authentication method references of what was proved (RFC 8176). */
  @Column({ type: 'text', array: true })
  amr!: string[];

  /** When a factor was last proved: the `auth_time` claim. */
  @Column({ type: 'timestamptz' })
  authenticatedAt!: Date;

  @Column({ type: 'bytea' })
  refreshSalt!: Buffer;

  /** Number of the refresh token that is valid now; each rotation adds one. */
  @Column({ type: 'integer' })
  refreshCounter!: number;

  @Column({ type: 'timestamptz' })
  refreshedAt!: Date;

  @Column({ type: 'text', nullable: true })
  ip!: string | null;

  @Column({ type: 'text', nullable: true })
  userAgent!: string | null;

  @Column({ type: 'timestamptz' })
  createdAt!: Date;

  /** The session ends when it was not refreshed until then. */
  @Column({ type: 'timestamptz' })
  idleExpiresAt!: Date;

  /** The session ends then, whatever happens. */
  @Column({ type: 'timestamptz' })
  expiresAt!: Date;

  @Column({ type: 'timestamptz', nullable: true })
  endedAt!: Date | null;

  @Column({ type: 'text', nullable: true })
  endReason!: string | null;
}
