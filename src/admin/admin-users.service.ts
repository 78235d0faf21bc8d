import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { isUUID } from 'class-validator';
import type { EntityManager } from 'typeorm';
import { Audit, type By } from '../audit/audit.service.js';
import { Config } from '../config/config.js';
import { Notifications } from '../notifications/notifications.service.js';
import { invalidCursor, pageOf, readCursor, type Page } from '../paging/page.js';
import { Problem } from '../problems/problem.js';
import { Tokens } from '../tokens/tokens.service.js';
import { RequirementRules } from '../two-factor/requirement-rules.service.js';
import type { User } from '../users/user.entity.js';
import { storeActive, storeProfile, storeRoles } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import { toAdminUserDto, type AdminUserDto, type ListUsersDto, type UpdateUserDto } from './admin-users.dto.js';
import { findUser, findUsers } from './admin-users.queries.js';

/** What administrators read and change about users. */
@Injectable()
export class AdminUsers {
  /** The configuration demands a second factor of everybody. */
  private readonly requiredOfAll: boolean;

  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly users: Users,
    private readonly rules: RequirementRules,
    private readonly tokens: Tokens,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
    { twoFactor }: Config,
  ) {
    this.requiredOfAll = !twoFactor.trustedMethods.includes('none');
  }

  async list(
    { limit, cursor, sort, ...filter }: ListUsersDto,
    db: EntityManager = this.db,
  ): Promise<Page<AdminUserDto>> {
    const after = readAfter(cursor, sort);
    const rows = await findUsers(db, this.requiredOfAll, filter, { sort, after, rows: limit + 1 });
    const { items, nextCursor } = pageOf(rows, limit, ({ sortKey, id }) => [sort, sortKey, id]);
    return { items: items.map(({ sortKey: _, ...user }) => toAdminUserDto(user)), nextCursor };
  }

  /** @throws Problem not_found */
  async get(id: string, db: EntityManager = this.db): Promise<AdminUserDto> {
    const user = await findUser(db, this.requiredOfAll, id);
    if (!user) throw new Problem('not_found');
    return toAdminUserDto(user);
  }

  /**
   * Changes what is given, and nothing else: all of it or, where it would leave no administrator, nothing.
   * @throws Problem not_found, last_admin
   */
  async update(id: string, changes: UpdateUserDto, by: By): Promise<AdminUserDto> {
    return this.db.transaction(async (tx) => {
      const user = await this.users.lock(tx, id);
      if (!user) throw new Problem('not_found');
      const { roles = user.roles, active = user.active } = changes;
      if (active !== user.active) await storeActive(tx, id, active);
      if (!isSame(roles, user.roles)) await storeRoles(tx, id, roles);
      if (isAdmin(user) && !isAdmin({ active, roles })) await this.rules.requireAdminLeft(tx);

      await this.updateProfile(tx, user, changes, by);
      if (!isSame(roles, user.roles)) await this.afterRoles(tx, user, { roles, active }, by);
      if (active !== user.active) await this.afterActive(tx, user, active, by);
      return this.get(id, tx);
    });
  }

  private async updateProfile(tx: EntityManager, user: User, changes: UpdateUserDto, by: By): Promise<void> {
    const { profile, fields } = this.users.profileAfter(user, changes);
    if (fields.length === 0) return;
    await storeProfile(tx, user.id, profile);
    await this.audit.record(tx, 'user.updated', { userId: user.id, ...by }, { fields });
  }

  /** A rule for a new role may demand more than the user's sessions have proved. */
  private async afterRoles(
    tx: EntityManager,
    { id: userId, roles: before }: User,
    { roles: after, active }: Pick<User, 'roles' | 'active'>,
    by: By,
  ): Promise<void> {
    await this.audit.record(tx, 'user.roles-changed', { userId, ...by }, { before, after });
    if (active) await this.rules.endUnmetSessions(tx, userId, by);
  }

  private async afterActive(tx: EntityManager, user: User, active: boolean, by: By): Promise<void> {
    const { id: userId } = user;
    await this.audit.record(tx, active ? 'user.reactivated' : 'user.deactivated', { userId, ...by }, {});
    if (active) return;
    await this.tokens.endSessionsOf(tx, userId, 'deactivated', by);
    await this.notifications.tell(tx, user, { kind: 'account-deactivated' });
  }
}

function isAdmin({ active, roles }: Pick<User, 'active' | 'roles'>): boolean {
  return active && roles.includes('admin');
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((role) => other.includes(role));
}

/** The sort key of the last user of the page before, and his id. It comes from a client: what is no time stays out of SQL. */
function readAfter(cursor: string | undefined, sort: ListUsersDto['sort']): readonly [key: string, id: string] | null {
  const read = readCursor(cursor, 3);
  if (read === null) return null;
  const [sorted, key, id] = read;
  // in another order it would begin anywhere
  const fits = sorted === sort && (sort.endsWith('email') || /^\d{1,16}$/.test(key ?? ''));
  if (fits && typeof key === 'string' && typeof id === 'string' && isUUID(id)) return [key, id];
  throw invalidCursor();
}
