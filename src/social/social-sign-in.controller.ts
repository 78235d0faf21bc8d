import { Body, Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiBody, ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { SIGN_IN_RESULT, type SignInResult } from '../sign-in/sign-in.dto.js';
import { ThrottledAs } from '../throttling/ip-throttle.guard.js';
import { Public } from '../tokens/access.js';
import { AnswersTokens } from '../tokens/cookie-answers.js';
import { IdentityProofs } from './identity-proofs.service.js';
import { SocialSignIn } from './social-sign-in.service.js';
import {
  AuthorizationDto,
  BeginSocialDto,
  SOCIAL_PROOF_EXAMPLES,
  SocialNonceDto,
  SocialProofDto,
  toProof,
} from './social.dto.js';

const PROVIDER = {
  name: 'provider',
  example: 'google',
  description: '`google`, `facebook`, `apple`, or the name of another that is configured.',
} as const;

@ApiTags('sign-in')
@Controller('auth/social')
export class SocialSignInController {
  constructor(
    private readonly proofs: IdentityProofs,
    private readonly social: SocialSignIn,
  ) {}

  @Post(':provider/authorize')
  @HttpCode(200)
  @Public()
  @ThrottledAs('sign-in')
  @ApiParam(PROVIDER)
  @ApiOperation({
    operationId: 'beginSocialSignIn',
    summary: 'Where to send a browser that signs in at a provider',
    description: 'It comes back to redirectUri with a code; send that, the nonce and the codeVerifier.',
  })
  @ApiOkResponse({ type: AuthorizationDto, description: 'The way to the provider.' })
  @Problems('not_found', 'redirect_not_allowed', 'identity_proof_not_accepted', 'provider_unavailable')
  authorize(
    @Param('provider') provider: string,
    @Body() { redirectUri, codeChallenge, state }: BeginSocialDto,
  ): Promise<AuthorizationDto> {
    return this.proofs.begin(provider, { redirectUri, codeChallenge, state: state ?? null });
  }

  @Post(':provider/nonce')
  @Public()
  @ThrottledAs('sign-in')
  @ApiParam(PROVIDER)
  @ApiOperation({
    operationId: 'createSocialNonce',
    summary: 'A nonce for a provider’s own button or SDK',
    description: 'Whoever gives the provider nonceHash, and us the nonce, is the one who began: good for one ID token.',
  })
  @ApiCreatedResponse({ type: SocialNonceDto, description: 'The nonce.' })
  @Problems('not_found')
  nonce(@Param('provider') provider: string): Promise<SocialNonceDto> {
    return this.proofs.issueNonce(provider);
  }

  @Post(':provider')
  @HttpCode(200)
  @Public()
  @AnswersTokens()
  @ThrottledAs('sign-in')
  @ApiParam(PROVIDER)
  @ApiOperation({
    operationId: 'signInWithProvider',
    summary: 'Sign in with what a provider gave',
    description:
      'Whoever comes for the first time gets an account, where registration is open. The second factor follows as after a password.',
  })
  @ApiBody({ type: SocialProofDto, examples: SOCIAL_PROOF_EXAMPLES })
  @ApiOkResponse({
    schema: { $ref: `#/components/schemas/${SIGN_IN_RESULT}` },
    description: 'What follows the first factor.',
  })
  @Problems(
    'not_found',
    'identity_proof_not_accepted',
    'redirect_not_allowed',
    'identity_not_proved',
    'identity_taken',
    'identity_refused',
    'address_refused',
    'registration_closed',
    'two_factor_not_configured',
    'too_many_code_tokens',
    'invalid_credentials',
    'provider_unavailable',
  )
  signIn(
    @Param('provider') provider: string,
    @Body() body: SocialProofDto,
    @CurrentClient() client: Client,
  ): Promise<SignInResult> {
    return this.social.signIn(provider, toProof(body), body, client);
  }
}
