import { Body, Controller, HttpCode, Post, Req } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { CurrentClient, type Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { Problems } from '../problems/answers.js';
import { Problem } from '../problems/problem.js';
import { SIGN_IN_RESULT, type SignInResult } from '../sign-in/sign-in.dto.js';
import { ThrottledAs } from '../throttling/ip-throttle.guard.js';
import { AccessReader } from '../tokens/access-reader.js';
import { Public } from '../tokens/access.js';
import { bearerOf } from '../tokens/bearer.js';
import { AnswersTokens } from '../tokens/cookie-answers.js';
import { EndsSessions } from '../tokens/ends-sessions.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { AcceptInvitationDto, InvitationPreviewDto, InvitationTokenDto, toPreviewDto } from './acceptance.dto.js';
import { Acceptance } from './acceptance.service.js';

/** The other side of an invitation. Only POST, which mail scanners do not send, and only one uses it up. */
@ApiTags('invitations')
@Controller('invitations')
export class AcceptanceController {
  constructor(
    private readonly acceptance: Acceptance,
    private readonly reader: AccessReader,
    private readonly config: Config,
  ) {}

  @Post('preview')
  @HttpCode(200)
  @Public()
  @ThrottledAs('sign-in')
  @ApiOperation({
    operationId: 'previewInvitation',
    summary: 'What an invitation is about',
    description: 'For the page that its link leads to. Whether the address has an account is not told.',
  })
  @ApiOkResponse({ type: InvitationPreviewDto, description: 'The invitation.' })
  @Problems('invalid_invitation')
  async preview(@Body() { token }: InvitationTokenDto): Promise<InvitationPreviewDto> {
    return toPreviewDto(await this.acceptance.preview(token));
  }

  @EndsSessions()
  @Post('accept')
  @HttpCode(200)
  @Public()
  @AnswersTokens()
  @ThrottledAs('sign-in')
  @ApiOperation({
    operationId: 'acceptInvitation',
    summary: 'Accept an invitation',
    description:
      'The link proves the address. Where it has no account, one is made; the second factor follows as after a magic link. No token is needed; an access token that is sent must be of the account of that address.',
  })
  @ApiBody({
    type: AcceptInvitationDto,
    examples: {
      newcomer: {
        summary: 'Somebody new',
        value: {
          token: 'Zk1vV0Z4dE5yT2VvQ3lLd2dYb1BqU2hIcEdaUXJhY2s',
          password: 'three uncommon words',
          firstName: 'Ada',
          lastName: 'Lovelace',
        },
      },
      account: {
        summary: 'Somebody who has an account',
        value: { token: 'Zk1vV0Z4dE5yT2VvQ3lLd2dYb1BqU2hIcEdaUXJhY2s' },
      },
    },
  })
  @ApiOkResponse({
    schema: { $ref: `#/components/schemas/${SIGN_IN_RESULT}` },
    description: 'What follows the first factor.',
  })
  @Problems(
    'invalid_invitation',
    'invalid_token',
    'invalid_credentials',
    'invitation_for_another_address',
    'account_not_proved',
    'identity_taken',
    'identity_refused',
    'address_refused',
    'last_admin',
    'two_factor_not_configured',
    'too_many_code_tokens',
    'busy',
  )
  async accept(
    @Body() body: AcceptInvitationDto,
    @Req() request: FastifyRequest,
    @CurrentClient() client: Client,
  ): Promise<SignInResult> {
    return this.acceptance.accept(body, await this.signedIn(request), client);
  }

  /** A token that is sent and not good is refused: silently left out, it would let another account accept. */
  private async signedIn(request: FastifyRequest): Promise<AccessPrincipal | null> {
    const token = bearerOf(request, this.config);
    if (token === null) return null;
    const principal = await this.reader.read(token);
    if (!principal) throw new Problem('invalid_token');
    return principal;
  }
}
