import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { SigningAlgorithm } from '../config/signing-key.js';
import type { PublicJwk } from './key-material.js';

/** A key that signs access tokens. The private half is sealed (AES-256-GCM, associated with its `kid`). */
@Entity('signing_keys')
export class SigningKey {
  @PrimaryColumn({ type: 'text' })
  kid!: string;

  /** The only one that the key signs and verifies with. */
  @Column({ type: 'text' })
  algorithm!: SigningAlgorithm;

  /** Null where the key is a secret that both signs and verifies. */
  @Column({ type: 'jsonb', nullable: true })
  publicJwk!: PublicJwk | null;

  @Column({ type: 'text' })
  sealedPrivateKey!: string;

  @Column({ type: 'timestamptz' })
  createdAt!: Date;

  @Column({ type: 'timestamptz', default: () => 'now()' })
  activatesAt!: Date;

  @Column({ type: 'timestamptz', nullable: true })
  retiresAt!: Date | null;

  @Column({ type: 'timestamptz', nullable: true })
  expiresAt!: Date | null;
}
