import { Body, Controller, HttpCode, Post, Req } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { CurrentClient, type Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { Public } from './access.js';
import { EndsSessions } from './ends-sessions.js';
import { AccessReader } from './access-reader.js';
import { refreshTokenOf } from './bearer.js';
import { ClearsCookies } from './cookie-answers.js';
import { TokenSigner } from './token.signer.js';
import { EXAMPLE_STATUS, RefreshTokenDto, TokenStatusDto, VerifyTokenDto } from './tokens.dto.js';
import { Tokens } from './tokens.service.js';

@ApiTags('sign-in')
@Controller('auth/token')
export class TokensController {
  constructor(
    private readonly tokens: Tokens,
    private readonly signer: TokenSigner,
    private readonly reader: AccessReader,
    private readonly config: Config,
  ) {}

  @Post('verify')
  @HttpCode(200)
  @Public()
  @ApiOperation({
    operationId: 'verifyToken',
    summary: 'Tell whether an access token is valid',
    description: 'Signature, times and the session are checked. Every other kind of token, and any text, is inactive.',
  })
  @ApiOkResponse({
    type: TokenStatusDto,
    description: 'What the token says, or only that it is not active.',
    examples: {
      active: { summary: 'A valid access token', value: EXAMPLE_STATUS },
      inactive: { summary: 'Anything else', value: { active: false } },
    },
  })
  async verify(@Body() { token }: VerifyTokenDto): Promise<TokenStatusDto> {
    const claims = await this.signer.verifyAccess(token);
    if (!claims || !(await this.reader.principalOf(claims))) return { active: false };
    return { active: true, ...claims };
  }

  @EndsSessions()
  @Post('revoke')
  @HttpCode(204)
  @Public()
  @ClearsCookies()
  @ApiOperation({
    operationId: 'revokeToken',
    summary: 'Sign out: end the session of a refresh token',
    description: 'Idempotent. The whole family of the refresh token ends, and its access tokens with it.',
  })
  @ApiNoContentResponse({ description: 'The session has ended, or there was none.' })
  async revoke(
    @Body() body: RefreshTokenDto,
    @Req() request: FastifyRequest,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.tokens.revoke(refreshTokenOf(request, body, this.config), client);
  }
}
