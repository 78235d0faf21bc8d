import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put } from '@nestjs/common';
import { ApiBody, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { invalidField, Problem } from '../problems/problem.js';
import { AdminsOnly, CurrentUser, RequiresFresh } from '../tokens/access.js';
import { EndsSessions } from '../tokens/ends-sessions.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { ConfiguredPolicy } from '../two-factor/configured-policy.js';
import type { Prospect } from '../two-factor/foresight.js';
import { PolicyPreview, type ProposedRule } from '../two-factor/policy-preview.service.js';
import type { RuleDemand, RuleScope } from '../two-factor/requirement-rules.queries.js';
import { RequirementRules } from '../two-factor/requirement-rules.service.js';
import { ROLE_NAME } from '../users/role.js';
import { byAdmin } from './by-admin.js';
import {
  PolicyDto,
  PreviewDto,
  ProposedRuleDto,
  RuleChangeDto,
  RuleDemandDto,
  RuleDto,
  toRuleDto,
  type Foreseen,
} from './two-factor-policy.dto.js';

const PROSPECTS = {
  mustEnroll: 'enrollment',
  cannotSignIn: 'no_way_in',
  unaffected: 'in',
} as const satisfies Record<Foreseen, Prospect>;

/** A path with more than a hundred characters in its place is no path: `not_found`. */
const ApiRole = () => ApiParam({ name: 'role', example: 'support', description: 'The name of the role.' });

@ApiTags('admin')
@Controller('admin/two-factor/policy')
export class TwoFactorPolicyController {
  constructor(
    private readonly rules: RequirementRules,
    private readonly previews: PolicyPreview,
    private readonly configured: ConfiguredPolicy,
  ) {}

  @Get()
  @AdminsOnly()
  @ApiOperation({
    operationId: 'getTwoFactorPolicy',
    summary: 'The two-factor rules for everybody and for roles',
    description:
      'The strictest wins, over the configuration, the rule for everybody, those of a user’s roles, his own rule and his own wish.',
  })
  @ApiOkResponse({ type: PolicyDto, description: 'What is demanded.' })
  async get(): Promise<PolicyDto> {
    const { configuration, global, roles } = await this.rules.findGeneral();
    return {
      configuration: toRuleDto(configuration),
      fallbackMethod: this.configured.fallback,
      global: global && toRuleDto(global),
      roles: roles.map(toRuleDto),
    };
  }

  @EndsSessions()
  @Put()
  @AdminsOnly()
  @RequiresFresh()
  @ApiOperation({
    operationId: 'setTwoFactorPolicy',
    summary: 'Set the rule for everybody',
    description: 'It acts at once, also on live sessions; with a deadline, from then on. Look at a preview first.',
  })
  @ApiOkResponse({ type: RuleChangeDto, description: 'The rule stands.' })
  @Problems('last_admin')
  put(
    @Body() body: RuleDemandDto,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<RuleChangeDto> {
    return this.set({ level: 'global' }, body, admin, client);
  }

  @Get('roles/:role')
  @AdminsOnly()
  @ApiRole()
  @ApiOperation({ operationId: 'getRoleTwoFactorPolicy', summary: 'The rule of a role' })
  @ApiOkResponse({ type: RuleDto, description: 'The rule; 404 where the role has none.' })
  @Problems('not_found')
  async getOfRole(@Param('role') role: string): Promise<RuleDto> {
    const name = roleOf(role);
    const { roles } = await this.rules.findGeneral();
    const rule = roles.find((each) => each.role === name);
    if (!rule) throw new Problem('not_found');
    return toRuleDto(rule);
  }

  @EndsSessions()
  @Put('roles/:role')
  @AdminsOnly()
  @RequiresFresh()
  @ApiRole()
  @ApiOperation({ operationId: 'setRoleTwoFactorPolicy', summary: 'Set the rule of a role' })
  @ApiOkResponse({ type: RuleChangeDto, description: 'The rule stands.' })
  @Problems('not_found', 'last_admin')
  putForRole(
    @Param('role') role: string,
    @Body() body: RuleDemandDto,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<RuleChangeDto> {
    return this.set({ level: 'role', role: roleOf(role) }, body, admin, client);
  }

  @Delete('roles/:role')
  @HttpCode(204)
  @AdminsOnly()
  @RequiresFresh()
  @ApiRole()
  @ApiOperation({ operationId: 'removeRoleTwoFactorPolicy', summary: 'Take the rule of a role away' })
  @ApiNoContentResponse({ description: 'The role has no rule.' })
  @Problems('not_found')
  async removeForRole(
    @Param('role') role: string,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.rules.remove({ level: 'role', role: roleOf(role) }, byAdmin(admin, client));
  }

  @Post('preview')
  @HttpCode(200)
  @AdminsOnly()
  @ApiOperation({
    operationId: 'previewTwoFactorPolicy',
    summary: 'Tell what a rule would do, without setting it',
    description:
      'The decisions of a sign-in are taken for everybody whom the rule is about, as of its deadline where it has one. What could not be set is refused here as well.',
  })
  @ApiBody({
    type: ProposedRuleDto,
    examples: {
      everybody: { summary: 'A rule for everybody', value: { level: 'global', required: true, methods: ['totp'] } },
      role: {
        summary: 'A rule for a role, and who could not sign in',
        value: {
          level: 'role',
          role: 'support',
          required: true,
          deadline: '2027-03-31T22:00:00Z',
          list: 'cannotSignIn',
          limit: 50,
        },
      },
      user: {
        summary: 'A rule for one user',
        value: { level: 'user', userId: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11', required: true },
      },
    },
  })
  @ApiOkResponse({ type: PreviewDto, description: 'What would happen. Nothing has changed.' })
  @Problems('not_found')
  async preview(@Body() body: ProposedRuleDto): Promise<PreviewDto> {
    const proposed: ProposedRule = { scope: scopeOf(body), demand: demandOf(body) };
    await this.rules.requireSettable(proposed);
    const { users, prospects, sessionsEnding } = await this.previews.count(proposed);
    const page = { limit: body.limit ?? 50, cursor: body.cursor };
    const list = body.list === undefined ? null : await this.previews.list(proposed, PROSPECTS[body.list], page);
    return {
      users,
      mustEnroll: prospects.enrollment,
      cannotSignIn: prospects.no_way_in,
      unaffected: prospects.in,
      sessionsEnding,
      list,
    };
  }

  private async set(scope: RuleScope, body: RuleDemandDto, admin: AccessPrincipal, client: Client) {
    const { rule, sessionsEnded } = await this.rules.put(scope, demandOf(body), byAdmin(admin, client));
    return { rule: toRuleDto(rule), sessionsEnded };
  }
}

export function demandOf({ required, methods, deadline }: RuleDemandDto): RuleDemand {
  return { required, methods: methods ?? null, deadline: deadline ? new Date(deadline) : null };
}

function scopeOf({ level, role, userId }: ProposedRuleDto): RuleScope {
  if (level === 'global') return { level };
  return level === 'role' ? { level, role: role ?? '' } : { level, userId: userId ?? '' };
}

function roleOf(role: string): string {
  if (ROLE_NAME.test(role)) return role;
  throw invalidField('role', 'must be a role’s name: lower-case letters, digits, - and _, beginning with a letter');
}
