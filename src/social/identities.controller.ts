import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiBody, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { Accepts, CurrentUser, RequiresFresh } from '../tokens/access.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { Identities } from './identities.service.js';
import {
  IdentityDto,
  IdentityListDto,
  SOCIAL_PROOF_EXAMPLES,
  SocialProofDto,
  toIdentityDto,
  toProof,
} from './social.dto.js';

const PROVIDER = { name: 'provider', example: 'google', description: 'The provider.' } as const;

@ApiTags('users')
@Controller('users/me/identities')
export class IdentitiesController {
  constructor(private readonly identities: Identities) {}

  @Get()
  @Accepts('access')
  @ApiOperation({ operationId: 'listMyIdentities', summary: 'Providers that the signed-in user can come from' })
  @ApiOkResponse({ type: IdentityListDto, description: 'His identities there.' })
  async list(@CurrentUser() { userId }: AccessPrincipal): Promise<IdentityListDto> {
    return { items: (await this.identities.list(userId)).map(toIdentityDto) };
  }

  @Post(':provider')
  @HttpCode(200)
  @Accepts('access')
  @RequiresFresh()
  @ApiParam(PROVIDER)
  @ApiOperation({
    operationId: 'connectIdentity',
    summary: 'Connect an identity at a provider',
    description:
      'From then on it opens this account. The user is told by mail. Names are filled in where there are none.',
  })
  @ApiBody({ type: SocialProofDto, examples: SOCIAL_PROOF_EXAMPLES })
  @ApiOkResponse({ type: IdentityDto, description: 'Connected, also where it was before.' })
  @Problems(
    'not_found',
    'identity_proof_not_accepted',
    'redirect_not_allowed',
    'identity_not_proved',
    'identity_connected_elsewhere',
    'provider_already_connected',
    'provider_unavailable',
  )
  async connect(
    @Param('provider') provider: string,
    @Body() body: SocialProofDto,
    @CurrentUser() { userId }: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<IdentityDto> {
    return toIdentityDto(await this.identities.connect(userId, provider, toProof(body), client));
  }

  @Delete(':provider')
  @HttpCode(204)
  @Accepts('access')
  @RequiresFresh()
  @ApiParam(PROVIDER)
  @ApiOperation({
    operationId: 'disconnectIdentity',
    summary: 'Disconnect a provider',
    description: 'Unfinished sign-ins become void, sessions go on. The last way in stays. The user is told by mail.',
  })
  @ApiNoContentResponse({ description: 'Disconnected.' })
  @Problems('not_found', 'last_way_in')
  async disconnect(
    @Param('provider') provider: string,
    @CurrentUser() { userId }: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.identities.disconnect(userId, provider, client);
  }
}
