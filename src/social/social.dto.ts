import { ApiProperty } from '@nestjs/swagger';
import { IsString, Matches, MaxLength, MinLength, ValidateIf } from 'class-validator';
import { invalidField } from '../problems/problem.js';
import type { IdentityProof } from './provider.js';
import type { ConnectedIdentity } from './social-identities.queries.js';

const EXAMPLE_NONCE = 'u1QkXn8xkWc6oYv3o0Yw0b7u5m2r9s4t6v8x0z2B4D6';
const EXAMPLE_REDIRECT = 'https://app.example.com/signed-in';

/** What a provider gave the frontend: one of `code`, `idToken` and `accessToken`. */
export class SocialProofDto {
  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 4096,
    example: '4/0AVG7fiQm',
    description: 'The code that the provider added to the redirect. It goes with redirectUri, codeVerifier and nonce.',
  })
  @ValidateIf((body: SocialProofDto) => body.code !== undefined || isEmpty(body))
  @IsString()
  @MinLength(1)
  @MaxLength(4096)
  code?: string;

  @ApiProperty({
    required: false,
    maxLength: 2000,
    example: EXAMPLE_REDIRECT,
    description: 'Where the browser came back to; one of REDIRECT_ALLOWLIST. Required with a code.',
  })
  @ValidateIf((body: SocialProofDto) => body.redirectUri !== undefined || body.code !== undefined)
  @IsString()
  @MaxLength(2000)
  redirectUri?: string;

  @ApiProperty({
    required: false,
    minLength: 43,
    maxLength: 128,
    example: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
    description: 'What codeChallenge was made of (RFC 7636). Required with a code.',
  })
  @ValidateIf((body: SocialProofDto) => body.codeVerifier !== undefined || body.code !== undefined)
  @IsString()
  @Matches(/^[\w.~-]{43,128}$/, { message: 'codeVerifier must be 43 to 128 letters, digits, ., _, ~ or -' })
  codeVerifier?: string;

  @ApiProperty({
    required: false,
    maxLength: 2000,
    example: 'https://accounts.google.com',
    description: '`iss`, where the provider added it to the redirect (RFC 9207): it must be the provider’s own.',
  })
  @ValidateIf((body: SocialProofDto) => body.issuer !== undefined)
  @IsString()
  @MaxLength(2000)
  issuer?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 8192,
    example: 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
    description: 'An ID token. It goes with nonce.',
  })
  @ValidateIf((body: SocialProofDto) => body.idToken !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(8192)
  idToken?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 4096,
    example: 'ya29.a0AfB_by',
    description: 'An access token of Google or Facebook that was made for this service; good for one sign-in.',
  })
  @ValidateIf((body: SocialProofDto) => body.accessToken !== undefined)
  @IsString()
  @Matches(/^[!-~]{1,4096}$/, { message: 'accessToken must be one word' })
  accessToken?: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 100,
    example: EXAMPLE_NONCE,
    description: 'From the answer that began this; its hash must stand in the ID token. Required but with accessToken.',
  })
  @ValidateIf(
    (body: SocialProofDto) => body.nonce !== undefined || body.code !== undefined || body.idToken !== undefined,
  )
  @IsString()
  @MinLength(1)
  @MaxLength(100)
  nonce?: string;

  @ApiProperty({
    required: false,
    maxLength: 100,
    example: 'Ada',
    description: 'First name, where the frontend was told; filled in where the account has none.',
  })
  @ValidateIf((body: SocialProofDto) => body.firstName !== undefined)
  @IsString()
  @MaxLength(100)
  firstName?: string;

  @ApiProperty({ required: false, maxLength: 100, example: 'Lovelace', description: 'The same for the last name.' })
  @ValidateIf((body: SocialProofDto) => body.lastName !== undefined)
  @IsString()
  @MaxLength(100)
  lastName?: string;
}

/** What a browser brings before it goes to the provider. */
export class BeginSocialDto {
  @ApiProperty({
    maxLength: 2000,
    example: EXAMPLE_REDIRECT,
    description: 'Where the provider sends the browser back to; exactly one of REDIRECT_ALLOWLIST.',
  })
  @IsString()
  @MaxLength(2000)
  redirectUri!: string;

  @ApiProperty({
    minLength: 43,
    maxLength: 43,
    example: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    description: 'SHA-256 of a random codeVerifier, in base64url (RFC 7636, S256).',
  })
  @IsString()
  @Matches(/^[\w-]{43}$/, { message: 'codeChallenge must be 32 bytes in base64url' })
  codeChallenge!: string;

  @ApiProperty({
    required: false,
    minLength: 1,
    maxLength: 512,
    example: 'af0ifjsldkj',
    description: 'Comes back with the browser: compare it with what this browser was given.',
  })
  @ValidateIf((body: BeginSocialDto) => body.state !== undefined)
  @IsString()
  @MinLength(1)
  @MaxLength(512)
  state?: string;
}

/** What one request holds of {@link SocialProofDto}. */
export const SOCIAL_PROOF_EXAMPLES = {
  code: {
    summary: 'In a browser: a code and PKCE',
    value: {
      code: '4/0AVG7fiQm',
      redirectUri: 'https://app.example.com/signed-in',
      codeVerifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
      nonce: EXAMPLE_NONCE,
      issuer: 'https://accounts.google.com',
    },
  },
  idToken: {
    summary: 'In an app: the ID token of an SDK',
    value: { idToken: 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl', nonce: EXAMPLE_NONCE },
  },
  accessToken: { summary: 'An access token, of Google and Facebook alone', value: { accessToken: 'ya29.a0AfB_by' } },
};

export class SocialNonceDto {
  @ApiProperty({
    example: EXAMPLE_NONCE,
    description: 'Keep it in this browser or app, and send it with the ID token.',
  })
  nonce!: string;

  @ApiProperty({
    example: 'n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg',
    description: 'Give this to the provider as its `nonce`.',
  })
  nonceHash!: string;

  @ApiProperty({ type: 'integer', example: 600, description: 'Seconds until it is worth nothing.' })
  expiresIn!: number;
}

export class AuthorizationDto {
  @ApiProperty({
    format: 'uri',
    example: 'https://accounts.google.com/o/oauth2/v2/auth?response_type=code&client_id=ours',
    description: 'Send the browser there.',
  })
  url!: string;

  @ApiProperty({ example: EXAMPLE_NONCE, description: 'Keep it in this browser, and send it with the code.' })
  nonce!: string;

  @ApiProperty({ type: 'integer', example: 600, description: 'Seconds until it is worth nothing.' })
  expiresIn!: number;
}

/** One identity that opens the account. */
export class IdentityDto {
  @ApiProperty({ example: 'google', description: 'The provider.' })
  provider!: string;

  @ApiProperty({ example: 'https://accounts.google.com', description: 'Who vouches.' })
  issuer!: string;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'ada@example.com',
    description: 'The address there, as the provider said at the last use; null where it said none.',
  })
  email!: string | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T10:00:00.000Z', description: 'When it was connected.' })
  createdAt!: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-21T10:05:00.000Z', description: 'When it was last used.' })
  lastUsedAt!: string;
}

export class IdentityListDto {
  @ApiProperty({ type: [IdentityDto], description: 'The oldest first; one a provider.' })
  items!: IdentityDto[];
}

export function toIdentityDto({ provider, issuer, email, createdAt, lastUsedAt }: ConnectedIdentity): IdentityDto {
  return {
    provider,
    issuer,
    email,
    createdAt: createdAt.toISOString(),
    lastUsedAt: lastUsedAt.toISOString(),
  };
}

/**
 * The one proof of a body: of two nobody could say which one was meant.
 * @throws Problem validation_failed
 */
export function toProof(body: SocialProofDto): IdentityProof {
  const { code, redirectUri = '', codeVerifier = '', issuer = null, idToken, accessToken, nonce = '' } = body;
  const brought = (['code', 'idToken', 'accessToken'] as const).filter((field) => body[field] !== undefined);
  if (brought.length > 1) throw invalidField(brought[1] ?? '', `cannot go with ${brought[0]}`);
  if (code !== undefined) return { kind: 'code', code, redirectUri, codeVerifier, issuer, nonce };
  if (idToken !== undefined) return { kind: 'idToken', idToken, nonce };
  return { kind: 'accessToken', accessToken: accessToken ?? '' };
}

function isEmpty({ code, idToken, accessToken }: SocialProofDto): boolean {
  return code === undefined && idToken === undefined && accessToken === undefined;
}
