import type { INestApplicationContext } from '@nestjs/common';
import type { Command } from 'commander';
import { AdminCreation, type CreatedAdmin, type NewAdmin } from '../admin/admin-creation.service.js';
import { AdminUsersRecovery } from '../admin/admin-users-recovery.service.js';
import { ListUsersDto, type AdminUserDto } from '../admin/admin-users.dto.js';
import { AdminUsers } from '../admin/admin-users.service.js';
import type { Page } from '../paging/page.js';
import type { Answer } from './answer.js';
import { asQuery, BY_CLI, findUserId } from './arguments.js';
import type { CommandRunner } from './command-runner.js';
import { confirm, readPassword } from './confirm.js';
import { pairs, table, time } from './output.js';

interface CreateAdminOptions extends Omit<NewAdmin, 'password'> {
  passwordStdin?: boolean;
  link?: boolean;
  yes?: boolean;
}

export function addUserCommands(program: Command, runner: CommandRunner): void {
  const users = program.command('users').description('accounts: list, show, make an administrator, help somebody');

  users
    .command('create-admin')
    .description(
      'make an active account with the role admin and print, once, a link to choose a password (30 minutes); an account that exists gets the role',
    )
    .requiredOption('--email <address>', 'e-mail address; it counts as verified only after a code to it came back')
    .option('--username <name>', 'username, to sign in with it too')
    .option('--first-name <name>', 'first name')
    .option('--last-name <name>', 'last name')
    .option('--password-stdin', 'read the password from the standard input instead; or set COUNTERSIGN_PASSWORD')
    .option('--link', 'print a link also for an account that exists or gets a password')
    .option('--yes', 'also promote an account whose address nobody has verified')
    .action(
      runner.changing(
        async (app, { passwordStdin = false, link = false, yes = false, ...names }: CreateAdminOptions) => {
          const password = await readPassword(passwordStdin, runner.host.variables);
          const wanted = { ...names, ...(password === null ? {} : { password }) };
          const created = await app.get(AdminCreation).create(wanted, { link, unprovedToo: yes }, BY_CLI);
          const user = await app.get(AdminUsers).get(created.id);
          return { data: { ...created, user }, text: creationText(created, user, password !== null) };
        },
      ),
    );

  users
    .command('list')
    .description('users, page by page; filters are joined by "and"')
    .option('--q <text>', 'anywhere in the address, number or names')
    .option('--role <role>', 'has this role')
    .option('--two-factor <state>', 'enrolled, missing or required')
    .option('--active <yes>', 'true: can sign in; false: was deactivated')
    .option('--method <method>', 'has a device of it that works: email, sms, totp, recovery_codes')
    .option('--limit <number>', 'how many at most, 1 to 200 (default: 50)')
    .option('--cursor <cursor>', 'where the page before ended')
    .action(
      runner.reading(async (app, options: object) => {
        const page = await app.get(AdminUsers).list(await asQuery(ListUsersDto, options));
        return { data: page, text: listText(page) };
      }),
    );

  users
    .command('show <user>')
    .description('one user, by id, e-mail address, phone number or username')
    .action(
      runner.reading(async (app, named: string) => shown(await app.get(AdminUsers).get(await findUserId(app, named)))),
    );

  users
    .command('deactivate <user>')
    .description('keep a user from signing in, and end his sessions; he is told by mail')
    .option('--yes', 'do not ask')
    .action(
      runner.changing(
        (app, named: string, _: { yes?: boolean }) => setActive(app, named, false),
        (named, options) => confirm(`Deactivate ${named} and end every session?`, options),
      ),
    );

  users
    .command('activate <user>')
    .description('let a deactivated user sign in again')
    .action(runner.changing((app, named: string) => setActive(app, named, true)));

  users
    .command('unlock <user>')
    .description('end the pauses after wrong passwords and codes')
    .action(
      runner.changing(async (app, named: string) => {
        const id = await findUserId(app, named);
        await app.get(AdminUsersRecovery).unlock(id, BY_CLI);
        return { data: { id, unlocked: true }, text: `Nothing keeps ${named} waiting any more.` };
      }),
    );
}

async function setActive(app: INestApplicationContext, named: string, active: boolean): Promise<Answer> {
  const user = await app.get(AdminUsers).update(await findUserId(app, named), { active }, BY_CLI);
  return {
    data: user,
    text: `${nameOf(user)} ${active ? 'can sign in.' : 'is deactivated and signed out everywhere.'}`,
  };
}

function creationText({ outcome, link }: CreatedAdmin, user: AdminUserDto, passwordGiven: boolean): string {
  const what = {
    created: `Created the administrator ${nameOf(user)}.`,
    promoted: `${nameOf(user)} had an account and is an administrator now.`,
    unchanged: `${nameOf(user)} is an administrator already.`,
  }[outcome];
  return [
    what,
    ...(passwordGiven && outcome !== 'created' ? ['The password of the account was left as it is.'] : []),
    ...(user.active ? [] : ['The account is deactivated; see: countersign users activate']),
    ...(link ? [`Choose a password, once and until ${time(link.expiresAt)}:`, link.url] : []),
  ].join('\n');
}

function listText({ items, nextCursor }: Page<AdminUserDto>): string {
  if (items.length === 0) return 'Nobody.';
  const rows = items.map((user) => [
    user.id,
    nameOf(user),
    user.roles.join(',') || '-',
    user.active ? 'yes' : 'no',
    user.twoFactor.methods.join(',') || '-',
    user.twoFactor.required ? 'yes' : 'no',
  ]);
  const more = nextCursor === null ? '' : `\nMore: --cursor ${nextCursor}`;
  return table(['ID', 'USER', 'ROLES', 'ACTIVE', 'METHODS', '2FA REQUIRED'], rows) + more;
}

function shown(user: AdminUserDto): Answer {
  const { twoFactor } = user;
  const verified = (address: string | null, is: boolean) =>
    address && `${address} (${is ? 'verified' : 'not verified'})`;
  const text = pairs({
    id: user.id,
    email: verified(user.email, user.emailVerified),
    phone: verified(user.phoneNumber, user.phoneVerified),
    username: user.username,
    name: `${user.firstName} ${user.lastName}`.trim() || null,
    roles: user.roles.join(', ') || '-',
    active: user.active ? 'yes' : 'no',
    password: user.passwordSet ? 'set' : 'not set',
    'two-factor': `${twoFactor.required ? 'required' : 'not required'}; devices: ${twoFactor.methods.join(', ') || 'none'}`,
    'recovery codes': twoFactor.recoveryCodesLeft,
    created: time(user.createdAt),
    'last sign-in': time(user.lastSignInAt),
  });
  return { data: user, text };
}

export function nameOf({
  id,
  email,
  username,
  phoneNumber,
}: Pick<AdminUserDto, 'id' | 'email' | 'username' | 'phoneNumber'>) {
  return email ?? username ?? phoneNumber ?? id;
}
