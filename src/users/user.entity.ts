import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('users')
export class User {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  /** As the user typed it; mails go here. */
  @Column({ type: 'text', nullable: true })
  email!: string | null;

  /** What makes two spellings the same address; unique among those that identify a user. */
  @Column({ type: 'text', nullable: true })
  emailCanonical!: string | null;

  /** False: contact data, which others may have too and nobody signs in with (IDENTITY_FIELDS). */
  @Column({ type: 'boolean' })
  emailIdentifies!: boolean;

  /** When a code sent to the address came back. */
  @Column({ type: 'timestamptz', nullable: true })
  emailVerifiedAt!: Date | null;

  /** E.164; unique among those that identify a user. */
  @Column({ type: 'text', nullable: true })
  phoneNumber!: string | null;

  @Column({ type: 'boolean' })
  phoneIdentifies!: boolean;

  /** When a code sent to the number came back. */
  @Column({ type: 'timestamptz', nullable: true })
  phoneVerifiedAt!: Date | null;

  /** The language of the user's messages (BCP 47). */
  @Column({ type: 'text', nullable: true })
  locale!: string | null;

  @Column({ type: 'text', nullable: true })
  username!: string | null;

  @Column({ type: 'text', nullable: true })
  usernameCanonical!: string | null;

  /** The same for two usernames that look alike; unique. */
  @Column({ type: 'text', nullable: true })
  usernameSkeleton!: string | null;

  @Column({ type: 'text' })
  firstName!: string;

  @Column({ type: 'text' })
  lastName!: string;

  /** Fields of the operator's (PROFILE_FIELDS). */
  @Column({ type: 'jsonb' })
  profile!: Record<string, string>;

  @Column({ type: 'text', array: true })
  roles!: string[];

  /** An inactive user cannot sign in, and nobody is told that he is inactive. */
  @Column({ type: 'boolean' })
  active!: boolean;

  /** argon2id in PHC string format, behind the id of its pepper where there is one. */
  @Column({ type: 'text', nullable: true })
  passwordHash!: string | null;

  /** The channel of the message by which it was chosen; null where none was needed. */
  @Column({ type: 'text', nullable: true })
  passwordBy!: 'email' | 'sms' | null;

  /** The method to ask first; `none`: none, where the policy trusts that; null: as the policy says. */
  @Column({ type: 'text', nullable: true })
  preferredMethod!: string | null;

  /** The user's own wish for a second factor, on top of the policy. */
  @Column({ type: 'boolean' })
  twoFactorRequired!: boolean;

  /** Every change of the account's security adds one; open challenges and enrollments of an older epoch are void. */
  @Column({ type: 'integer' })
  epoch!: number;

  /** No account yet: its address has to be proved until then (SIGNUP_VERIFIED_ONLY). It has no identity and opens nothing. */
  @Column({ type: 'timestamptz', nullable: true })
  registeringUntil!: Date | null;

  @Column({ type: 'timestamptz' })
  createdAt!: Date;

  @Column({ type: 'timestamptz' })
  updatedAt!: Date;
}
