import { Body, Controller, HttpCode, Post, Req } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBody,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { invalidField } from '../problems/problem.js';
import { ThrottledAs } from '../throttling/ip-throttle.guard.js';
import { Public } from '../tokens/access.js';
import { EndsSessions } from '../tokens/ends-sessions.js';
import { AnswersTokens } from '../tokens/cookie-answers.js';
import { CodeRequests } from './code-requests.js';
import { AskForLinkDto, AskForResetDto, ConfirmResetDto, RedeemLinkDto, SentDto } from './links.dto.js';
import { Links } from './links.service.js';
import { PasswordReset } from './password-reset.service.js';
import { SentProofs } from './sent-proofs.service.js';
import { SIGN_IN_RESULT, type SignInResult } from './sign-in.dto.js';

/** Links that are sent: to sign in, and to choose a new password. */
@ApiTags('sign-in')
@Controller('auth')
export class LinksController {
  constructor(
    private readonly proofs: SentProofs,
    private readonly codeRequests: CodeRequests,
    private readonly links: Links,
    private readonly reset: PasswordReset,
  ) {}

  @Post('magic-link')
  @HttpCode(202)
  @Public()
  @ThrottledAs('sign-in', 'send')
  @ApiOperation({
    operationId: 'askForMagicLink',
    summary: 'Send a link that stands for the password',
    description: 'The answer is the same whether or not anybody has the identifier.',
  })
  @ApiAcceptedResponse({ type: SentDto, description: 'Sent, if there is such an account.' })
  @Problems('authentication_required', 'redirect_not_allowed', 'address_refused', 'code_recently_sent')
  async magicLink(
    @Body() { identifier, redirectTo }: AskForLinkDto,
    @Req() request: FastifyRequest,
    @CurrentClient() client: Client,
  ): Promise<SentDto> {
    await this.codeRequests.requireAllowed(request, identifier);
    return { resendIn: await this.proofs.requestMagicLink(identifier, redirectTo, client) };
  }

  @Post('magic-link/redeem')
  @HttpCode(200)
  @Public()
  @AnswersTokens()
  @ThrottledAs('sign-in')
  @ApiOperation({
    operationId: 'redeemMagicLink',
    summary: 'Sign in with a link',
    description: 'A link is good for one POST. The second factor follows as after a password.',
  })
  @ApiOkResponse({
    schema: { $ref: `#/components/schemas/${SIGN_IN_RESULT}` },
    description: 'What follows the first factor.',
  })
  @Problems('invalid_link', 'two_factor_not_configured', 'too_many_code_tokens', 'invalid_credentials')
  redeem(@Body() { token }: RedeemLinkDto, @CurrentClient() client: Client): Promise<SignInResult> {
    return this.links.redeem(token, client);
  }

  @Post('password-reset')
  @HttpCode(202)
  @Public()
  @ThrottledAs('sign-in', 'send', 'reset')
  @ApiOperation({
    operationId: 'askForPasswordReset',
    summary: 'Send what lets choose a new password',
    description:
      'A link by mail, or a code by text message where the account has no mailbox. The answer is the same whether or not anybody has the identifier.',
  })
  @ApiAcceptedResponse({ type: SentDto, description: 'Sent, if there is such an account.' })
  @Problems('address_refused', 'code_recently_sent')
  async passwordReset(@Body() { identifier }: AskForResetDto, @CurrentClient() client: Client): Promise<SentDto> {
    return { resendIn: await this.proofs.requestPasswordReset(identifier, client) };
  }

  @EndsSessions()
  @Post('password-reset/confirm')
  @HttpCode(204)
  @Public()
  @ThrottledAs('sign-in', 'reset')
  @ApiOperation({
    operationId: 'confirmPasswordReset',
    summary: 'Choose a new password',
    description: 'Every session ends and unfinished sign-ins become void; devices stay. Nobody is signed in by it.',
  })
  @ApiBody({
    type: ConfirmResetDto,
    examples: {
      link: {
        summary: 'With the token of the link',
        value: { token: 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGNvdWxkIGd1ZXNz', newPassword: 'four other uncommon words' },
      },
      code: {
        summary: 'With the code of a text message',
        value: { identifier: '+4915112345678', code: '492039', newPassword: 'four other uncommon words' },
      },
    },
  })
  @ApiNoContentResponse({ description: 'The password is changed.' })
  @Problems('invalid_link', 'too_many_failures', 'too_many_attempts', 'busy', 'unavailable')
  async confirmReset(
    @Body() { token, identifier, code, newPassword }: ConfirmResetDto,
    @CurrentClient() client: Client,
  ): Promise<void> {
    if (token !== undefined && code === undefined) return this.reset.withLink(token, newPassword, client);
    if (token !== undefined) throw invalidField('code', 'cannot go with a token');
    await this.reset.withCode(identifier ?? '', code ?? '', newPassword, client);
  }
}
