import { Body, Controller, Get, Patch } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { EntityManager } from 'typeorm';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { Accepts, CurrentUser, RequiresFresh } from '../tokens/access.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { allowedDevices, requiredBy } from './policy.js';
import { toDeviceSummary, TwoFactorDto, UpdateTwoFactorDto } from './two-factor.dto.js';
import { TwoFactor, type UserFacts } from './two-factor.service.js';

@ApiTags('users')
@Controller('users/me/two-factor')
export class TwoFactorController {
  constructor(
    private readonly twoFactor: TwoFactor,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  @Get()
  @Accepts('access')
  @ApiOperation({ operationId: 'getMyTwoFactor', summary: 'The second factor of the signed-in user' })
  @ApiOkResponse({ type: TwoFactorDto, description: 'What holds now.' })
  async get(@CurrentUser() { userId }: AccessPrincipal): Promise<TwoFactorDto> {
    return toDto(await this.twoFactor.factsOf(this.db, userId));
  }

  @Patch()
  @Accepts('access')
  @RequiresFresh()
  @ApiOperation({
    operationId: 'updateMyTwoFactor',
    summary: 'Choose the method that is asked first, or demand a second factor',
    description: 'A user may raise his own requirement and lower it again, but never below the policy.',
  })
  @ApiOkResponse({ type: TwoFactorDto, description: 'What holds now.' })
  @Problems('two_factor_required_by_policy', 'method_not_allowed', 'two_factor_not_configured')
  async update(
    @Body() body: UpdateTwoFactorDto,
    @CurrentUser() { userId }: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<TwoFactorDto> {
    return toDto(await this.twoFactor.change(userId, body, client));
  }
}

function toDto(facts: UserFacts): TwoFactorDto {
  return {
    required: requiredBy(facts) !== null,
    requiredBy: requiredBy(facts),
    preferredMethod: facts.preferred,
    methods: facts.policy.trusted.filter((method) => method !== 'none'),
    devices: allowedDevices(facts).map((device) => toDeviceSummary(device)),
    recoveryCodesLeft: facts.recoveryCodesLeft,
    deadline: facts.deadline?.toISOString() ?? null,
  };
}
