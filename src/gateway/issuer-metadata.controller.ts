import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Config } from '../config/config.js';
import { Public } from '../tokens/access.js';
import { JWKS_MAX_AGE } from '../tokens/key-life.js';
import { SigningKeys } from '../tokens/signing-keys.js';
import { EXAMPLE_METADATA, FIXED_METADATA, IssuerMetadataDto } from './issuer-metadata.dto.js';

const CACHEABLE = `public, max-age=${JWKS_MAX_AGE}`;

/** One document under two names: some verifiers look for the one, some for the other. */
@ApiTags('well-known')
@Controller('.well-known')
export class IssuerMetadataController {
  constructor(
    private readonly config: Config,
    private readonly signingKeys: SigningKeys,
  ) {}

  @Get('openid-configuration')
  @Public()
  @Header('Cache-Control', CACHEABLE)
  @ApiOperation({
    operationId: 'getOpenIdConfiguration',
    summary: 'The issuer and its keys (OpenID Connect Discovery)',
    description:
      'For verifiers that are given an issuer and find its keys themselves, such as the JWT authorizers of cloud gateways. This is no OpenID provider: there is nothing to redirect to, and no ID token.',
  })
  @ApiOkResponse({ type: IssuerMetadataDto, description: 'What is true of this issuer.', example: EXAMPLE_METADATA })
  openIdConfiguration(): IssuerMetadataDto {
    return this.metadata();
  }

  @Get('oauth-authorization-server')
  @Public()
  @Header('Cache-Control', CACHEABLE)
  @ApiOperation({
    operationId: 'getAuthorizationServerMetadata',
    summary: 'The issuer and its keys (RFC 8414)',
    description: 'The same document as `/.well-known/openid-configuration`.',
  })
  @ApiOkResponse({ type: IssuerMetadataDto, description: 'What is true of this issuer.', example: EXAMPLE_METADATA })
  authorizationServer(): IssuerMetadataDto {
    return this.metadata();
  }

  private metadata(): IssuerMetadataDto {
    const { server, tokens } = this.config;
    const algorithms = this.signingKeys.jwks().keys.flatMap(({ alg = [] }) => alg);
    return {
      ...FIXED_METADATA,
      issuer: tokens.issuer,
      jwks_uri: `${server.publicUrl}/.well-known/jwks.json`,
      id_token_signing_alg_values_supported: [...new Set([tokens.signingAlgorithm, ...algorithms])],
    };
  }
}
