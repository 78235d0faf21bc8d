import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A key pair that signs access tokens. The private half is sealed (AES-256-GCM, associated with its `kid`). */
@Entity('signing_keys')
export class SigningKey {
  @PrimaryColumn({ type: 'text' })
  kid!: string;

  @Column({ type: 'text' })
  algorithm!: string;

  @Column({ type: 'jsonb' })
  publicJwk!: Record<string, string>;

  @Column({ type: 'text' })
  sealedPrivateKey!: string;

  @Column({ type: 'timestamptz' })
  createdAt!: Date;
}
