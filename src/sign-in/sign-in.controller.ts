import { Body, Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiBody, ApiExtraModels, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CurrentClient, type Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { Problems } from '../problems/answers.js';
import { invalidField } from '../problems/problem.js';
import { ThrottledAs } from '../throttling/ip-throttle.guard.js';
import { Accepts, CurrentUser, Public } from '../tokens/access.js';
import { EndsSessions } from '../tokens/ends-sessions.js';
import { refreshTokenOf } from '../tokens/bearer.js';
import { AnswersTokens } from '../tokens/cookie-answers.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { RefreshTokenDto, TokenPairDto } from '../tokens/tokens.dto.js';
import { CodeRequests } from './code-requests.js';
import { AskForCodeDto, AskedDto, SecondFactorDto } from './codes.dto.js';
import { Refresh } from './refresh.service.js';
import {
  AuthenticatedDto,
  EnrollmentRequiredDto,
  SecondFactorRequiredDto,
  SIGN_IN_RESULT,
  SignInDto,
  type SignInResult,
} from './sign-in.dto.js';
import { SignIn } from './sign-in.service.js';
import { SentProofs } from './sent-proofs.service.js';
import { SteppedUpDto, StepUpDto } from './step-up.dto.js';
import { StepUp } from './step-up.service.js';

const signInAnswer = {
  description: 'What follows; `status` tells.',
  schema: { $ref: `#/components/schemas/${SIGN_IN_RESULT}` },
};

@ApiTags('sign-in')
@ApiExtraModels(AuthenticatedDto, SecondFactorRequiredDto, EnrollmentRequiredDto)
@Controller('auth')
export class SignInController {
  constructor(
    private readonly signIn: SignIn,
    private readonly refresh: Refresh,
    private readonly stepUp: StepUp,
    private readonly proofs: SentProofs,
    private readonly codeRequests: CodeRequests,
    private readonly config: Config,
  ) {}

  @Post('token')
  @HttpCode(200)
  @Public()
  @AnswersTokens()
  @ThrottledAs('sign-in')
  @ApiOperation({
    operationId: 'signIn',
    summary: 'Sign in: the first factor',
    description: 'The answer says what follows: tokens, a second factor, or the enrollment of one.',
  })
  @ApiBody({
    type: SignInDto,
    examples: {
      password: {
        summary: 'With the password',
        value: { identifier: 'ada@example.com', password: 'three uncommon words' },
      },
      code: { summary: 'With a one-time code', value: { identifier: 'ada@example.com', code: '0492039' } },
    },
  })
  @ApiOkResponse(signInAnswer)
  @Problems('invalid_credentials', 'two_factor_not_configured', 'too_many_failures', 'too_many_code_tokens', 'busy')
  token(
    @Body() { identifier, password, code, trustedBrowserToken }: SignInDto,
    @CurrentClient() client: Client,
  ): Promise<SignInResult> {
    if (code === undefined) return this.signIn.withPassword(identifier, password ?? '', trustedBrowserToken, client);
    // One of the two: with both nobody could say which one was proved.
    if (password !== undefined) throw invalidField('code', 'cannot go with a password');
    return this.signIn.withCode(identifier, code, client);
  }

  @Post('token/second-factor')
  @HttpCode(200)
  @Public()
  @AnswersTokens()
  @ThrottledAs('sign-in')
  @ApiOperation({
    operationId: 'signInSecondFactor',
    summary: 'Sign in: the second factor',
    description: 'Each attempt is counted before the code is looked at; past the limit even the right code is refused.',
  })
  @ApiOkResponse(signInAnswer)
  @Problems(
    'invalid_token',
    'invalid_code',
    'token_expired',
    'token_already_used',
    'too_many_attempts',
    'method_not_allowed',
    'retry_too_soon',
    'too_many_failures',
    'trusted_browsers_off',
    'unavailable',
  )
  secondFactor(@Body() body: SecondFactorDto, @CurrentClient() client: Client): Promise<SignInResult> {
    return this.signIn.withSecondFactor(body, client);
  }

  @Post('otp')
  @HttpCode(202)
  @Public()
  @ThrottledAs('sign-in', 'send')
  @ApiOperation({
    operationId: 'askForCode',
    summary: 'Send a code: again, to another device, or instead of a password',
    description:
      'With a code token the earlier code is void then; attempts and expiry stay as they are. With an identifier the answer is the same whether or not anybody has it.',
  })
  @ApiBody({
    type: AskForCodeDto,
    examples: {
      instead: {
        summary: 'Instead of a password',
        value: { identifier: 'ada@example.com', channel: 'email' },
      },
      again: {
        summary: 'Again within a sign-in, or to another device',
        value: {
          codeToken: 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImNvZGUrand0In0.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl',
          deviceId: '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c22',
        },
      },
    },
  })
  @ApiAcceptedResponse({ type: AskedDto, description: 'Asked.' })
  @Problems(
    'authentication_required',
    'invalid_token',
    'token_expired',
    'token_already_used',
    'too_many_attempts',
    'address_refused',
    'method_not_allowed',
    'code_recently_sent',
    'too_many_messages',
    'messages_paused',
    'retry_too_soon',
    'too_many_failures',
  )
  async otp(
    @Body() { codeToken, deviceId, identifier, channel }: AskForCodeDto,
    @Req() request: FastifyRequest,
    @CurrentClient() client: Client,
  ): Promise<AskedDto> {
    if (codeToken !== undefined && identifier === undefined) return this.signIn.askAgain(codeToken, deviceId);
    if (codeToken !== undefined || deviceId !== undefined) {
      throw invalidField('identifier', 'cannot go with a code token or a device');
    }
    await this.codeRequests.requireAllowed(request, identifier ?? '');
    return { resendIn: await this.proofs.requestCode(identifier ?? '', channel, client) };
  }

  @Post('token/refresh')
  @HttpCode(200)
  @Public()
  @AnswersTokens()
  @ApiOperation({
    operationId: 'refreshToken',
    summary: 'Exchange a refresh token for new tokens',
    description:
      'Every refresh token is good for one exchange. For ten seconds a repeated request gets the same successor; a later repetition ends the session.',
  })
  @ApiOkResponse({ type: TokenPairDto, description: 'The new tokens; the refresh token that was sent is used up.' })
  @Problems('invalid_refresh_token', 'refresh_token_reused')
  rotate(
    @Body() body: RefreshTokenDto,
    @Req() request: FastifyRequest,
    @CurrentClient() client: Client,
  ): Promise<TokenPairDto> {
    return this.refresh.rotate(refreshTokenOf(request, body, this.config), client);
  }

  @EndsSessions()
  @Post('step-up')
  @HttpCode(200)
  @Accepts('access')
  @AnswersTokens()
  @ThrottledAs('sign-in')
  @ApiOperation({
    operationId: 'stepUp',
    summary: 'Prove a factor again within a session (RFC 9470)',
    description:
      'Without a code the device is asked (202); with one the answer is an access token whose auth_time is now. Its acr is what that proof makes of the session: aal1 after one that does not count for aal2, also where another was proved before.',
  })
  @ApiBody({
    type: StepUpDto,
    examples: {
      ask: { summary: 'Ask the device', value: {} },
      code: { summary: 'Answer with its code', value: { code: '492039' } },
      password: { summary: 'A user without a device', value: { password: 'three uncommon words' } },
    },
  })
  @ApiOkResponse({ type: SteppedUpDto, description: 'Proved: an access token with a fresh auth_time.' })
  @ApiAcceptedResponse({ type: AskedDto, description: 'Asked: repeat the request with the device’s code.' })
  @Problems(
    'invalid_code',
    'invalid_credentials',
    'token_expired',
    'token_already_used',
    'too_many_attempts',
    'method_not_allowed',
    'two_factor_not_configured',
    'code_recently_sent',
    'too_many_messages',
    'messages_paused',
    'retry_too_soon',
    'too_many_failures',
    'busy',
  )
  async step(
    @Body() body: StepUpDto,
    @CurrentUser() principal: AccessPrincipal,
    @CurrentClient() client: Client,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SteppedUpDto | AskedDto> {
    const result = await this.stepUp.prove(principal, body, client);
    if ('renewed' in result) return result.renewed;
    reply.status(202);
    return result.asked;
  }
}
