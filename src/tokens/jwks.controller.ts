import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Public } from './access.js';
import { JWKS_MAX_AGE } from './key-life.js';
import type { PublicJwk } from './key-material.js';
import { SigningKeys } from './signing-keys.js';
import { EXAMPLE_JWKS, JwkSetDto } from './tokens.dto.js';

@ApiTags('well-known')
@Controller('.well-known')
export class JwksController {
  constructor(private readonly signingKeys: SigningKeys) {}

  @Get('jwks.json')
  @Public()
  @Header('Cache-Control', `public, max-age=${JWKS_MAX_AGE}`)
  @ApiOperation({
    operationId: 'getJwks',
    summary: 'The public keys of access tokens (RFC 7517)',
    description:
      'For gateways and services that verify access tokens themselves. May be cached for five minutes: a new key is published six minutes before it signs. Read it again at once where a token names an unknown `kid`. Empty where SIGNING_ALGORITHM is HS256.',
  })
  @ApiOkResponse({ type: JwkSetDto, description: 'The keys.', example: EXAMPLE_JWKS })
  jwks(): { keys: PublicJwk[] } {
    return this.signingKeys.jwks();
  }
}
