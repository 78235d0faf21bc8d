import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What an enrollment token names: who may enroll which methods, having proved what. It is spent by one confirmation. */
@Entity('enrollments')
export class Enrollment {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ type: 'uuid' })
  userId!: string;

  @Column({ type: 'text', array: true })
  proved!: string[];

  @Column({ type: 'text', array: true })
  methods!: string[];

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
