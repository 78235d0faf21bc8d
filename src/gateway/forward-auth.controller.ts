import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiCookieAuth, ApiOkResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { SkipThrottle } from '@nestjs/throttler';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { OnlyProblems } from '../problems/answers.js';
import { Public } from '../tokens/access.js';
import { ForwardAuth } from './forward-auth.service.js';
import { announcesBody } from './forward-request.js';

/**
 * No limit by address: a gateway asks from its own address for everybody, and one busy client is no reason to refuse
 * all. A token cannot be guessed, and a forged one costs no look-up.
 */
@ApiTags('gateway')
@SkipThrottle({ overall: true })
@Controller('auth/forward')
export class ForwardAuthController {
  constructor(private readonly forwardAuth: ForwardAuth) {}

  @Get()
  @Public()
  @ApiBearerAuth('accessToken')
  @ApiCookieAuth('sessionCookie')
  @ApiOperation({
    operationId: 'forwardAuth',
    summary: 'Tell a gateway whether a request may pass',
    description:
      'For nginx `auth_request`, Traefik `forwardAuth`, Caddy `forward_auth` and Envoy `ext_authz`: send the `Authorization` header of the request, and copy the headers of a 200 to the service behind. Every method is answered alike, no body is read, and no answer is anything but 200, 401 and 403. A path below this one (Envoy) is answered alike too, and its query is ignored. AUTH_FORWARD_HEADERS chooses other names; see docs/gateway.',
  })
  @ApiQuery({
    name: 'acr',
    required: false,
    enum: ['aal1', 'aal2'],
    description: 'The least assurance of the session. Below it: 401 with the challenge of RFC 9470.',
  })
  @ApiQuery({
    name: 'maxAge',
    required: false,
    schema: { type: 'integer', minimum: 0 },
    description: 'Seconds since a factor was last proved, at most. Past it: 401 with the challenge of RFC 9470.',
  })
  @ApiQuery({
    name: 'role',
    required: false,
    schema: { type: 'string', example: 'support,admin' },
    description: 'Roles, one of which the user must have at this moment. Given twice, both must hold.',
  })
  @ApiOkResponse({
    description: 'The request may pass; the headers say who sends it.',
    headers: {
      'X-Auth-User-Id': { description: 'The user.', schema: { type: 'string', format: 'uuid' } },
      'X-Auth-Session-Id': { description: 'The session.', schema: { type: 'string', format: 'uuid' } },
      'X-Auth-Roles': { description: 'Roles of this moment, comma-separated.', schema: { type: 'string' } },
      'X-Auth-Acr': { description: 'The assurance.', schema: { type: 'string', enum: ['aal1', 'aal2'] } },
      'X-Auth-Amr': { description: 'What was proved (RFC 8176), comma-separated.', schema: { type: 'string' } },
      'X-Auth-Identity-Token': {
        description: 'The same, signed, for a minute. Only where AUTH_FORWARD_IDENTITY_AUDIENCE is set.',
        schema: { type: 'string' },
      },
    },
  })
  @OnlyProblems(
    'authentication_required',
    'invalid_token',
    'insufficient_user_authentication',
    'role_required',
    'cross_site_request',
    'gateway_misconfigured',
    'authorization_unknown',
  )
  async answer(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    // An answer about one person; a gateway that keeps it all the same must not give it to another.
    void reply.header('vary', 'Authorization, Cookie');
    if (announcesBody(request)) void reply.header('connection', 'close');
    void reply.headers(await this.forwardAuth.admit(request));
  }
}
