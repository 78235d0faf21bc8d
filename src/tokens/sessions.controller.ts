import { Controller, Delete, Get, HttpCode, Param, ParseUUIDPipe } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { Problem } from '../problems/problem.js';
import { Accepts, CurrentUser } from './access.js';
import { EndsSessions } from './ends-sessions.js';
import { ClearsCookies } from './cookie-answers.js';
import type { AccessPrincipal } from './principal.js';
import { SessionListDto, toSessionDto } from './sessions.dto.js';
import { Tokens } from './tokens.service.js';

@ApiTags('users')
@Controller('users/me/sessions')
export class SessionsController {
  constructor(private readonly tokens: Tokens) {}

  @Get()
  @Accepts('access')
  @ApiOperation({ operationId: 'listMySessions', summary: 'Where the signed-in user is signed in' })
  @ApiOkResponse({ type: SessionListDto, description: 'His live sessions; the present one is marked.' })
  async list(@CurrentUser() { userId, sessionId }: AccessPrincipal): Promise<SessionListDto> {
    const sessions = await this.tokens.findSessionsOf(userId);
    return { items: sessions.map((session) => toSessionDto(session, sessionId)) };
  }

  @EndsSessions()
  @Delete(':id')
  @HttpCode(204)
  @Accepts('access')
  @ClearsCookies()
  @ApiParam({
    name: 'id',
    format: 'uuid',
    example: '019aa8d2-9a10-7f3c-8d27-5c1e9b7a4f33',
    description: 'One of the list.',
  })
  @ApiOperation({
    operationId: 'endMySession',
    summary: 'Sign out somewhere',
    description: 'Its tokens are worth nothing from this moment on. It may be the present one.',
  })
  @ApiNoContentResponse({ description: 'The session has ended.' })
  @Problems('not_found')
  async end(
    @Param('id', ParseUUIDPipe) id: string,
    @CurrentUser() { userId }: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    if (!(await this.tokens.endOwnSession(userId, id, client))) throw new Problem('not_found');
  }

  @EndsSessions()
  @Delete()
  @HttpCode(204)
  @Accepts('access')
  @ClearsCookies()
  @ApiOperation({
    operationId: 'endMySessions',
    summary: 'Sign out everywhere',
    description: 'All sessions end, the present one with them.',
  })
  @ApiNoContentResponse({ description: 'No session is left.' })
  async endAll(@CurrentUser() { userId }: AccessPrincipal, @CurrentClient() client: Client): Promise<void> {
    await this.tokens.endOwnSessions(userId, client);
  }
}
