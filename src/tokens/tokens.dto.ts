import { ApiProperty } from '@nestjs/swagger';
import { IsString, MaxLength, MinLength, ValidateIf } from 'class-validator';

export const EXAMPLE_ACCESS_TOKEN =
  'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjAxOWEifQ.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl';
const EXAMPLE_USER = '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11';
const EXAMPLE_REFRESH_TOKEN = 'AZqsbv7Yd3K4v0b1d2e3ZAAAAACb2xkIGZyaWVuZCwgbmV3IGtleSwgc2FtZSBkb29yLi4u';

/** `Cookie`: the tokens were set as cookies instead, where no script can read them. */
export type TokenType = 'Bearer' | 'Cookie';
export const TOKEN_TYPES = ['Bearer', 'Cookie'] as const satisfies readonly TokenType[];
export const TOKEN_TYPE_DESCRIPTION =
  'How the access token is sent: as `Authorization: Bearer`, or by the browser as the cookie that this answer sets.';

/** A refresh token, as it was answered by a sign-in or the last refresh. */
export class RefreshTokenDto {
  @ApiProperty({
    required: false,
    description: 'The newest refresh token of the session; required unless it is sent as a cookie (AUTH_COOKIES).',
    example: EXAMPLE_REFRESH_TOKEN,
    minLength: 1,
    maxLength: 200,
  })
  @ValidateIf((body: RefreshTokenDto) => body.refreshToken !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(200)
  refreshToken?: string;
}

/** A token to look at. */
export class VerifyTokenDto {
  @ApiProperty({ description: 'An access token.', example: EXAMPLE_ACCESS_TOKEN, minLength: 1, maxLength: 8192 })
  @IsString()
  @MinLength(1)
  @MaxLength(8192)
  token!: string;
}

/** The tokens of a session. */
export class TokenPairDto {
  @ApiProperty({ enum: TOKEN_TYPES, description: TOKEN_TYPE_DESCRIPTION })
  tokenType!: TokenType;

  @ApiProperty({
    required: false,
    description: 'JWT (RFC 9068), for `Authorization: Bearer`; always there unless cookies were asked for.',
    example: EXAMPLE_ACCESS_TOKEN,
  })
  accessToken?: string;

  @ApiProperty({ type: 'integer', description: 'Life of the access token, in seconds.', example: 300 })
  expiresIn!: number;

  @ApiProperty({
    required: false,
    description: 'Opaque; valid for one refresh. Always there unless cookies were asked for.',
    example: EXAMPLE_REFRESH_TOKEN,
  })
  refreshToken?: string;

  @ApiProperty({
    type: 'integer',
    description: 'Seconds until the session ends if it is not refreshed.',
    example: 604800,
  })
  refreshExpiresIn!: number;
}

/** What a token says, where it is valid (RFC 7662 §2.2 in JSON). */
export class TokenStatusDto {
  @ApiProperty({ description: 'Whether the token is a valid access token of a live session.' })
  active!: boolean;

  @ApiProperty({ required: false, description: 'Who issued it.', example: 'https://id.example.com' })
  iss?: string;

  @ApiProperty({ required: false, description: 'For whom it is.', example: 'countersign' })
  aud?: string;

  @ApiProperty({ required: false, format: 'uuid', example: EXAMPLE_USER, description: 'The user.' })
  sub?: string;

  @ApiProperty({ required: false, format: 'uuid', description: 'The session.' })
  sid?: string;

  @ApiProperty({ required: false, format: 'uuid', description: 'The token itself.' })
  jti?: string;

  @ApiProperty({
    required: false,
    type: 'integer',
    description: 'When a factor was last proved, in seconds since 1970.',
    example: 1795255200,
  })
  auth_time?: number;

  @ApiProperty({
    required: false,
    type: [String],
    description: 'What was proved (RFC 8176).',
    example: ['pwd', 'otp', 'mfa'],
  })
  amr?: string[];

  @ApiProperty({
    required: false,
    enum: ['aal1', 'aal2'],
    example: 'aal2',
    description: 'The assurance that follows from it.',
  })
  acr?: string;

  @ApiProperty({ required: false, type: [String], description: 'The user’s roles.', example: ['admin'] })
  roles?: string[];

  @ApiProperty({
    required: false,
    type: 'integer',
    example: 1795255200,
    description: 'Issued at, in seconds since 1970.',
  })
  iat?: number;

  @ApiProperty({
    required: false,
    type: 'integer',
    example: 1795255500,
    description: 'Expires at, in seconds since 1970.',
  })
  exp?: number;
}

export const EXAMPLE_STATUS: TokenStatusDto = {
  active: true,
  iss: 'https://id.example.com',
  aud: 'countersign',
  sub: EXAMPLE_USER,
  sid: '019aa8d2-8b57-7f0a-9c3d-1e4b6a8d2f90',
  jti: '019aa8d2-8b57-7f0b-8e21-7c5d9f3a4b18',
  auth_time: 1795255200,
  amr: ['pwd', 'otp', 'mfa'],
  acr: 'aal2',
  roles: [],
  iat: 1795255200,
  exp: 1795255500,
};

/** The public half of a signing key (RFC 7517 §4, RFC 7518 §6.2.1 and §6.3.1). */
export class JwkDto {
  @ApiProperty({ enum: ['EC', 'RSA'], description: 'Key type.' })
  kty!: string;

  @ApiProperty({ required: false, enum: ['P-256'], description: 'Curve of an EC key.' })
  crv?: string;

  @ApiProperty({
    required: false,
    example: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    description: 'Coordinate x of an EC key, base64url.',
  })
  x?: string;

  @ApiProperty({
    required: false,
    example: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    description: 'Coordinate y of an EC key, base64url.',
  })
  y?: string;

  @ApiProperty({
    required: false,
    example: 'sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboI',
    description: 'Modulus of an RSA key, base64url.',
  })
  n?: string;

  @ApiProperty({ required: false, example: 'AQAB', description: 'Exponent of an RSA key, base64url.' })
  e?: string;

  @ApiProperty({
    example: 'oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U',
    description: 'Names the key; the `kid` in the header of an access token.',
  })
  kid!: string;

  @ApiProperty({ enum: ['sig'], description: 'For signatures.' })
  use!: string;

  @ApiProperty({ enum: ['ES256', 'RS256'], description: 'The only algorithm to accept with it.' })
  alg!: string;
}

export class JwkSetDto {
  @ApiProperty({ type: [JwkDto], description: 'Every key that a valid access token may be signed with.' })
  keys!: JwkDto[];
}

export const EXAMPLE_JWKS: JwkSetDto = {
  keys: [
    {
      kty: 'EC',
      crv: 'P-256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
      kid: 'oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U',
      use: 'sig',
      alg: 'ES256',
    },
  ],
};
