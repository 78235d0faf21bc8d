import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What a challenge is for. A code of one purpose never answers another. */
export type ChallengePurpose = 'first_factor' | 'reset' | 'sign_in' | 'confirm' | 'step_up' | 'registration';

/** An expiring, single-use, attempt-capped question to one device. */
@Entity('challenges')
export class Challenge {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ type: 'uuid' })
  userId!: string;

  @Column({ type: 'uuid' })
  deviceId!: string;

  @Column({ type: 'text' })
  purpose!: ChallengePurpose;

  /** What was proved before the question was asked. */
  @Column({ type: 'text', array: true })
  firstFactor!: string[];

  /** Keyed hash of the code that was sent; null where none was. */
  @Column({ type: 'bytea', nullable: true })
  codeHash!: Buffer | null;

  /** Where a provider made the code and checks it: its name for that; null until it was sent. */
  @Column({ type: 'text', nullable: true })
  providerId!: string | null;

  /** Counted before the code is looked at. */
  @Column({ type: 'integer' })
  attempts!: number;

  @Column({ type: 'timestamptz', nullable: true })
  lastAttemptAt!: Date | null;

  @Column({ type: 'timestamptz' })
  createdAt!: Date;

  @Column({ type: 'timestamptz' })
  expiresAt!: Date;

  @Column({ type: 'timestamptz', nullable: true })
  consumedAt!: Date | null;

  /** The user's epoch at creation; a later one makes it void. */
  @Column({ type: 'integer' })
  epoch!: number;
}
