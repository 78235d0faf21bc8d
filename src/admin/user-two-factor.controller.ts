import { Body, Controller, Get, HttpCode, Patch, Post } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { invalidField, Problem } from '../problems/problem.js';
import { AdminsOnly, CurrentUser, RequiresFresh } from '../tokens/access.js';
import { EndsSessions } from '../tokens/ends-sessions.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { ConfiguredPolicy } from '../two-factor/configured-policy.js';
import { explain } from '../two-factor/explanation.js';
import { RequirementRules } from '../two-factor/requirement-rules.service.js';
import { toDeviceSummary } from '../two-factor/two-factor.dto.js';
import { TwoFactor } from '../two-factor/two-factor.service.js';
import { findActiveUserIds } from './admin-users.queries.js';
import { byAdmin } from './by-admin.js';
import { demandOf } from './two-factor-policy.controller.js';
import { toRuleDto, UpdateUserRuleDto } from './two-factor-policy.dto.js';
import { ApiUserId, UserId } from './user-id.js';
import { BULK_LIMIT, BulkRuleDto, BulkRuleResultDto, UserTwoFactorDto } from './user-two-factor.dto.js';

@ApiTags('admin')
@Controller('admin/users')
export class UserTwoFactorController {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly twoFactor: TwoFactor,
    private readonly rules: RequirementRules,
    private readonly configured: ConfiguredPolicy,
  ) {}

  @Get(':id/two-factor')
  @AdminsOnly()
  @ApiUserId()
  @ApiOperation({
    operationId: 'getUserTwoFactor',
    summary: 'What second factor is demanded of a user, and why',
  })
  @ApiOkResponse({ type: UserTwoFactorDto, description: 'His own rule, and what all rules together mean for him.' })
  @Problems('not_found')
  async get(@UserId() id: string): Promise<UserTwoFactorDto> {
    const facts = await this.twoFactor.findFactsOf(this.db, id);
    if (!facts) throw new Problem('not_found');
    const own = facts.rules.find(({ level }) => level === 'user');
    const { rules, decidedBy, deadline, ...effective } = explain(facts);
    return {
      required: own?.required ?? false,
      methods: own?.methods ? [...own.methods] : null,
      deadline: own?.deadline?.toISOString() ?? null,
      effective: {
        ...effective,
        methods: [...effective.methods],
        deadline: deadline?.toISOString() ?? null,
        decidedBy: toRuleDto(decidedBy),
      },
      rules: rules.map(toRuleDto),
      devices: facts.devices.map((device) => toDeviceSummary(device)),
      recoveryCodesLeft: facts.recoveryCodesLeft,
    };
  }

  @EndsSessions()
  @Patch(':id/two-factor')
  @AdminsOnly()
  @RequiresFresh()
  @ApiUserId()
  @ApiOperation({
    operationId: 'updateUserTwoFactor',
    summary: 'Switch the requirement of a second factor on or off for one user',
    description:
      'What is left out stays. A rule that demands nothing is taken away. What other rules demand of him is not lowered; the answer tells what holds.',
  })
  @ApiOkResponse({ type: UserTwoFactorDto, description: 'His own rule, and what all rules together mean for him.' })
  @Problems('not_found', 'last_admin')
  async update(
    @UserId() id: string,
    @Body() body: UpdateUserRuleDto,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<UserTwoFactorDto> {
    const { deadline, ...rest } = body;
    const change = deadline === undefined ? rest : { ...rest, deadline: dateOf(deadline) };
    await this.rules.change(id, change, byAdmin(admin, client));
    return this.get(id);
  }

  @EndsSessions()
  @Post('two-factor')
  @HttpCode(200)
  @AdminsOnly()
  @RequiresFresh()
  @ApiOperation({
    operationId: 'setTwoFactorOfUsers',
    summary: 'Set the same rule for many users at once',
    description: `For up to ${BULK_LIMIT.toLocaleString('en')} users, named or found by a filter. All of them get it, or none.`,
  })
  @ApiBody({
    type: BulkRuleDto,
    examples: {
      named: { summary: 'Named users', value: { required: true, userIds: ['019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11'] } },
      found: {
        summary: 'Those whom a filter finds',
        value: { required: true, methods: ['totp'], deadline: '2027-03-31T22:00:00Z', filter: { role: 'support' } },
      },
    },
  })
  @ApiOkResponse({ type: BulkRuleResultDto, description: 'The rules stand.' })
  @Problems('last_admin')
  async setForMany(
    @Body() body: BulkRuleDto,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<BulkRuleResultDto> {
    return this.rules.putForUsers(await this.usersOf(body), demandOf(body), byAdmin(admin, client));
  }

  private async usersOf({ userIds, filter }: BulkRuleDto): Promise<string[]> {
    if ((userIds === undefined) === (filter === undefined))
      throw invalidField('userIds', 'send either userIds or filter');
    if (userIds !== undefined) return userIds;
    const found = await findActiveUserIds(this.db, this.configured.rule.required, filter ?? {}, BULK_LIMIT + 1);
    if (found.length > BULK_LIMIT) throw invalidField('filter', `finds more than ${BULK_LIMIT} users; narrow it`);
    return found;
  }
}

function dateOf(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
