import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { MethodType } from '../two-factor/policy.js';

/** One enrolled authenticator of a user; pending until it is confirmed. */
@Entity('otp_devices')
export class OtpDevice {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ type: 'uuid' })
  userId!: string;

  @Column({ type: 'text' })
  type!: MethodType;

  @Column({ type: 'text' })
  name!: string;

  /** Where codes are sent, in its canonical form; null for methods that send none. */
  @Column({ type: 'text', nullable: true })
  address!: string | null;

  /** Sealed (AES-256-GCM), with the device's id as associated data. */
  @Column({ type: 'text', nullable: true })
  sealedSecret!: string | null;

  /** The last time step that was accepted; older ones and this one are refused (RFC 6238 §5.2). */
  @Column({ type: 'bigint', nullable: true })
  lastStep!: string | null;

  /** Failed proofs in a row, over all challenges. */
  @Column({ type: 'integer' })
  failures!: number;

  @Column({ type: 'timestamptz', nullable: true })
  blockedUntil!: Date | null;

  @Column({ type: 'timestamptz', nullable: true })
  disabledAt!: Date | null;

  @Column({ type: 'timestamptz' })
  createdAt!: Date;

  /** While pending; a confirmed device does not expire. */
  @Column({ type: 'timestamptz', nullable: true })
  expiresAt!: Date | null;

  @Column({ type: 'timestamptz', nullable: true })
  confirmedAt!: Date | null;

  @Column({ type: 'timestamptz', nullable: true })
  lastUsedAt!: Date | null;
}

/** What its address belongs to. */
export function channelOf({ type }: OtpDevice): 'email' | 'sms' {
  return type === 'sms' ? 'sms' : 'email';
}
