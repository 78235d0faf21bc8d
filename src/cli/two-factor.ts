import type { INestApplicationContext } from '@nestjs/common';
import { Option, type Command } from 'commander';
import { AdminUsersRecovery } from '../admin/admin-users-recovery.service.js';
import { toRuleDto } from '../admin/two-factor-policy.dto.js';
import { Problem } from '../problems/problem.js';
import { explain } from '../two-factor/explanation.js';
import type { Prospect } from '../two-factor/foresight.js';
import type { RuleMethod } from '../two-factor/policy.js';
import { PolicyPreview } from '../two-factor/policy-preview.service.js';
import type { RuleDemand, RuleScope } from '../two-factor/requirement-rules.queries.js';
import { RequirementRules } from '../two-factor/requirement-rules.service.js';
import { TwoFactor } from '../two-factor/two-factor.service.js';
import { UsageError, type Answer } from './answer.js';
import {
  BY_CLI,
  collect,
  databaseOf,
  findUserId,
  momentOf,
  readDeadline,
  readLimit,
  readMethods,
  type Deadline,
} from './arguments.js';
import type { CommandRunner } from './command-runner.js';
import { confirm } from './confirm.js';
import { pairs, table, time } from './output.js';
import { nameOf } from './users.js';
import { ROLE_NAME } from '../users/role.js';

interface WhoOptions {
  user?: string[];
  role?: string;
  everybody?: boolean;
}

interface DemandOptions {
  methods?: RuleMethod[];
  deadline?: Deadline;
}

interface PreviewOptions extends WhoOptions, DemandOptions {
  list?: keyof typeof PROSPECTS;
  limit?: number;
  cursor?: string;
}

const PROSPECTS = {
  'must-enroll': 'enrollment',
  'cannot-sign-in': 'no_way_in',
} as const satisfies Record<string, Prospect>;

const PAGE = 50;

export function addTwoFactorCommands(program: Command, runner: CommandRunner): void {
  const twoFactor = program.command('two-factor').description('who must have a second factor');

  withDemand(withWho(twoFactor.command('require')))
    .description('require a second factor; sessions that do not meet it end. Look at a preview first')
    .action(runner.changing((app, options: WhoOptions & DemandOptions) => putRules(app, options), requireOneWho));

  withWho(twoFactor.command('unrequire'))
    .description('take such a rule away; what the configuration or other rules demand stays')
    .action(runner.changing((app, options: WhoOptions) => removeRules(app, options), requireOneWho));

  withDemand(withWho(twoFactor.command('preview')))
    .description('tell what "require" would do, and change nothing')
    .addOption(new Option('--list <who>', 'also list these users').choices(Object.keys(PROSPECTS)))
    .option('--limit <number>', `how many users to list, 1 to 200 (default: ${PAGE})`, readLimit)
    .option('--cursor <cursor>', 'where the page before ended')
    .action(
      runner.reading(async (app, options: PreviewOptions) => {
        await requireOneWho(options);
        return preview(app, options);
      }),
    );

  twoFactor
    .command('effective <user>')
    .description('what holds for a user, and which rule decided')
    .action(runner.reading((app, named: string) => effective(app, named)));

  twoFactor
    .command('reset <user>')
    .description('remove every second factor of a user; his sessions end and his next sign-in enrolls')
    .option('--yes', 'do not ask')
    .action(
      runner.changing(
        async (app, named: string, _: { yes?: boolean }) => {
          const id = await findUserId(app, named);
          await app.get(AdminUsersRecovery).resetTwoFactor(id, BY_CLI);
          return {
            data: { id, reset: true },
            text: `${named} has no second factor any more; the next sign-in enrolls.`,
          };
        },
        (named, options) =>
          confirm(`Remove every second factor of ${named}? Make sure that it is he who asks.`, options),
      ),
    );
}

function withWho(command: Command): Command {
  return command
    .option('--user <user>', 'a user, by id, address, number or name; may be repeated', collect)
    .option('--role <role>', 'everybody who has the role')
    .option('--everybody', 'everybody');
}

function withDemand(command: Command): Command {
  return command
    .option('--methods <list>', 'accept only these, such as totp,sms', readMethods)
    .option('--deadline <when>', 'demand nothing until then: 2027-03-31T22:00Z or 14d', readDeadline);
}

async function requireOneWho({ user, role, everybody }: WhoOptions): Promise<void> {
  const named = [user, role, everybody].filter((given) => given !== undefined);
  if (named.length !== 1) throw new UsageError('Say who: one of --user, --role and --everybody.');
  if (role !== undefined && !ROLE_NAME.test(role)) {
    throw new UsageError('--role is a role’s name: lower-case letters, digits, - and _, beginning with a letter.');
  }
}

async function scopesOf(app: INestApplicationContext, { user, role }: WhoOptions): Promise<RuleScope[]> {
  if (role !== undefined) return [{ level: 'role', role }];
  if (user === undefined) return [{ level: 'global' }];
  const ids: string[] = [];
  for (const named of user) ids.push(await findUserId(app, named));
  return [...new Set(ids)].map((userId) => ({ level: 'user', userId }));
}

async function demandOf(app: INestApplicationContext, { methods, deadline }: DemandOptions): Promise<RuleDemand> {
  return { required: true, methods: methods ?? null, deadline: await momentOf(databaseOf(app), deadline) };
}

async function putRules(app: INestApplicationContext, options: WhoOptions & DemandOptions): Promise<Answer> {
  const rules = app.get(RequirementRules);
  const demand = await demandOf(app, options);
  const scopes = await scopesOf(app, options);
  const users = scopes.flatMap((scope) => (scope.level === 'user' ? [scope.userId] : []));
  const [only] = scopes;
  if (users.length > 1) {
    const { operationId, users: changed, sessionsEnded } = await rules.putForUsers(users, demand, BY_CLI);
    const text = `${changed} users have the rule now. ${ended(sessionsEnded)}`;
    return { data: { operationId, users: changed, sessionsEnded }, text };
  }
  if (!only) throw new UsageError('Say who: one of --user, --role and --everybody.');
  const { rule, sessionsEnded } = await rules.put(only, demand, BY_CLI);
  const when = rule.deadline === null ? 'holds now' : `holds from ${time(rule.deadline)} on`;
  return { data: { rule: toRuleDto(rule), sessionsEnded }, text: `The rule ${when}. ${ended(sessionsEnded)}` };
}

async function removeRules(app: INestApplicationContext, options: WhoOptions): Promise<Answer> {
  const rules = app.get(RequirementRules);
  for (const scope of await scopesOf(app, options)) await rules.remove(scope, BY_CLI);
  const { configuration } = await rules.findGeneral();
  const still = configuration.required
    ? 'The configuration (TWO_FACTOR_TRUSTED_METHODS) still requires a second factor of everybody.'
    : 'Other rules, and what users want themselves, stay.';
  return {
    data: { removed: true, requiredByConfiguration: configuration.required },
    text: `The rule is gone. ${still}`,
  };
}

async function preview(app: INestApplicationContext, options: PreviewOptions): Promise<Answer> {
  const demand = await demandOf(app, options);
  const previews = app.get(PolicyPreview);
  const proposals = (await scopesOf(app, options)).map((scope) => ({ scope, demand }));
  for (const proposal of proposals) await app.get(RequirementRules).requireSettable(proposal);
  const counts = { users: 0, mustEnroll: 0, cannotSignIn: 0, unaffected: 0, sessionsEnding: 0 };
  for (const proposal of proposals) {
    const { users, prospects, sessionsEnding } = await previews.count(proposal);
    counts.users += users;
    counts.mustEnroll += prospects.enrollment;
    counts.cannotSignIn += prospects.no_way_in;
    counts.unaffected += prospects.in;
    counts.sessionsEnding += sessionsEnding;
  }
  const text = pairs({
    users: counts.users,
    'must enroll': counts.mustEnroll,
    'cannot sign in': counts.cannotSignIn,
    unaffected: counts.unaffected,
    'sessions ending': counts.sessionsEnding,
  });
  if (options.list === undefined) return { data: { ...counts, list: null }, text };
  const page = { limit: options.limit ?? PAGE, cursor: options.cursor };
  const pages = [];
  for (const proposal of proposals) pages.push(await previews.list(proposal, PROSPECTS[options.list], page));
  const list = { items: pages.flatMap(({ items }) => items), nextCursor: pages.at(-1)?.nextCursor ?? null };
  const rows = list.items.map((user) => [user.id, nameOf(user)]);
  const more = list.nextCursor === null ? '' : `\nMore: --cursor ${list.nextCursor}`;
  return { data: { ...counts, list }, text: `${text}\n\n${table(['ID', 'USER'], rows)}${more}` };
}

async function effective(app: INestApplicationContext, named: string): Promise<Answer> {
  const userId = await findUserId(app, named);
  const facts = await app.get(TwoFactor).findFactsOf(databaseOf(app), userId);
  if (!facts) throw new Problem('not_found');
  const { required, methods, deadline, decidedBy, reason, rules } = explain(facts);
  const data = {
    userId,
    required,
    methods,
    deadline: deadline?.toISOString() ?? null,
    decidedBy: toRuleDto(decidedBy),
    reason,
    rules: rules.map(toRuleDto),
  };
  const rows = data.rules.map((rule) => [
    rule.role === null ? rule.level : `${rule.level} ${rule.role}`,
    rule.required ? 'yes' : 'no',
    rule.methods?.join(',') ?? 'all',
    time(rule.deadline),
    rule.inForce ? 'yes' : 'no',
  ]);
  const considered = table(['RULE', 'REQUIRED', 'METHODS', 'DEADLINE', 'IN FORCE'], rows);
  return { data, text: `${named}: ${reason}\n\n${considered}` };
}

function ended(sessions: number): string {
  return sessions === 0 ? 'No session ended.' : `${sessions} sessions did not meet it and ended.`;
}
