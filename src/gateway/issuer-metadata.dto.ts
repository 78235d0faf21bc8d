import { ApiProperty } from '@nestjs/swagger';

/** What is true of this issuer, in the words of RFC 8414 and OpenID Connect Discovery. */
export class IssuerMetadataDto {
  @ApiProperty({ description: 'The `iss` of access tokens: TOKEN_ISSUER.', example: 'https://id.example.com' })
  issuer!: string;

  @ApiProperty({
    description: 'Where the public keys are.',
    example: 'https://id.example.com/.well-known/jwks.json',
  })
  jwks_uri!: string;

  @ApiProperty({
    type: [String],
    example: ['none'],
    description: 'There is no authorization endpoint, so it gives nothing.',
  })
  response_types_supported!: string[];

  @ApiProperty({
    type: [String],
    example: [],
    description: 'None of OAuth’s: sign-ins are those of this API. Absent would mean two of them.',
  })
  grant_types_supported!: string[];

  @ApiProperty({ type: [String], example: ['public'], description: 'A user has the same `sub` for everybody.' })
  subject_types_supported!: string[];

  @ApiProperty({
    type: [String],
    example: ['ES256'],
    description: 'The algorithms of tokens that are valid now.',
  })
  id_token_signing_alg_values_supported!: string[];

  @ApiProperty({ type: [String], example: ['aal1', 'aal2'], description: 'The values of `acr`.' })
  acr_values_supported!: string[];

  @ApiProperty({ type: [String], example: ['iss', 'sub', 'roles'], description: 'The claims of an access token.' })
  claims_supported!: string[];
}

/** What no setting changes. */
export const FIXED_METADATA = {
  response_types_supported: ['none'],
  grant_types_supported: [],
  subject_types_supported: ['public'],
  acr_values_supported: ['aal1', 'aal2'],
  claims_supported: ['iss', 'aud', 'sub', 'sid', 'jti', 'auth_time', 'amr', 'acr', 'roles', 'iat', 'exp'],
} satisfies Partial<IssuerMetadataDto>;

export const EXAMPLE_METADATA: IssuerMetadataDto = {
  ...FIXED_METADATA,
  issuer: 'https://id.example.com',
  jwks_uri: 'https://id.example.com/.well-known/jwks.json',
  id_token_signing_alg_values_supported: ['ES256'],
};
