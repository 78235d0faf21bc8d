import { ApiProperty } from '@nestjs/swagger';
import { IsString, MaxLength, MinLength } from 'class-validator';

const EXAMPLE_ACCESS_TOKEN =
  'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjAxOWEifQ.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl';
const EXAMPLE_REFRESH_TOKEN = 'AZqsbv7Yd3K4v0b1d2e3ZAAAAACb2xkIGZyaWVuZCwgbmV3IGtleSwgc2FtZSBkb29yLi4u';

/** A refresh token, as it was answered by a sign-in or the last refresh. */
export class RefreshTokenDto {
  @ApiProperty({
    description: 'The newest refresh token of the session.',
    example: EXAMPLE_REFRESH_TOKEN,
    maxLength: 200,
  })
  @IsString()
  @MinLength(1)
  @MaxLength(200)
  refreshToken!: string;
}

/** A token to look at. */
export class VerifyTokenDto {
  @ApiProperty({ description: 'An access token.', example: EXAMPLE_ACCESS_TOKEN, maxLength: 8192 })
  @IsString()
  @MinLength(1)
  @MaxLength(8192)
  token!: string;
}

/** The tokens of a session. */
export class TokenPairDto {
  @ApiProperty({ enum: ['Bearer'], description: 'How to send the access token.' })
  tokenType!: 'Bearer';

  @ApiProperty({ description: 'JWT (RFC 9068), for `Authorization: Bearer`.', example: EXAMPLE_ACCESS_TOKEN })
  accessToken!: string;

  @ApiProperty({ type: 'integer', description: 'Life of the access token, in seconds.', example: 300 })
  expiresIn!: number;

  @ApiProperty({ description: 'Opaque; valid for one refresh.', example: EXAMPLE_REFRESH_TOKEN })
  refreshToken!: string;

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

  @ApiProperty({ required: false, format: 'uuid', description: 'The user.' })
  sub?: string;

  @ApiProperty({ required: false, format: 'uuid', description: 'The session.' })
  sid?: string;

  @ApiProperty({ required: false, format: 'uuid', description: 'The token itself.' })
  jti?: string;

  @ApiProperty({
    required: false,
    type: 'integer',
    description: 'When a factor was last proved, in seconds since 1970.',
  })
  auth_time?: number;

  @ApiProperty({
    required: false,
    type: [String],
    description: 'What was proved (RFC 8176).',
    example: ['pwd', 'otp', 'mfa'],
  })
  amr?: string[];

  @ApiProperty({ required: false, enum: ['aal1', 'aal2'], description: 'The assurance that follows from it.' })
  acr?: string;

  @ApiProperty({ required: false, type: [String], description: 'The user’s roles.', example: ['admin'] })
  roles?: string[];

  @ApiProperty({ required: false, type: 'integer', description: 'Issued at, in seconds since 1970.' })
  iat?: number;

  @ApiProperty({ required: false, type: 'integer', description: 'Expires at, in seconds since 1970.' })
  exp?: number;
}
