import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Public } from './access.js';
import { SigningKeys } from './signing-keys.js';
import { JwkSetDto } from './tokens.dto.js';

@ApiTags('well-known')
@Controller('.well-known')
export class JwksController {
  constructor(private readonly signingKeys: SigningKeys) {}

  @Get('jwks.json')
  @Public()
  @Header('Cache-Control', 'public, max-age=300')
  @ApiOperation({
    operationId: 'getJwks',
    summary: 'The public keys of access tokens (RFC 7517)',
    description: 'For gateways and services that verify access tokens themselves. May be cached for five minutes.',
  })
  @ApiOkResponse({ type: JwkSetDto, description: 'The keys.' })
  jwks(): { keys: Record<string, string>[] } {
    return this.signingKeys.jwks();
  }
}
