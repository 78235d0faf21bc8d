import { Body, Controller, Delete, Get, HttpCode, Patch, Query } from '@nestjs/common';
import { ApiBody, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { ReadReplicas } from '../database/read-replicas.js';
import { Problems } from '../problems/answers.js';
import { AccountRemoval } from '../sign-in/account-removal.service.js';
import { AdminsOnly, CurrentUser, RequiresFresh } from '../tokens/access.js';
import { EndsSessions } from '../tokens/ends-sessions.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { AdminUserDto, AdminUserListDto, ListUsersDto, UpdateUserDto } from './admin-users.dto.js';
import { AdminUsers } from './admin-users.service.js';
import { byAdmin } from './by-admin.js';
import { ApiUserId, UserId } from './user-id.js';

@ApiTags('admin')
@Controller('admin/users')
export class AdminUsersController {
  constructor(
    private readonly users: AdminUsers,
    private readonly removal: AccountRemoval,
    private readonly replicas: ReadReplicas,
  ) {}

  @Get()
  @AdminsOnly()
  @ApiOperation({
    operationId: 'listUsers',
    summary: 'Users, page by page',
    description:
      'Filters are joined by "and". `q` is looked for in every user until the page is full, so what is rare takes longest to find.',
  })
  @ApiOkResponse({ type: AdminUserListDto, description: 'A page of users.' })
  list(@Query() query: ListUsersDto): Promise<AdminUserListDto> {
    return this.replicas.read((db) => this.users.list(query, db));
  }

  @Get(':id')
  @AdminsOnly()
  @ApiUserId()
  @ApiOperation({ operationId: 'getUser', summary: 'One user' })
  @ApiOkResponse({ type: AdminUserDto, description: 'The user.' })
  @Problems('not_found')
  get(@UserId() id: string): Promise<AdminUserDto> {
    return this.users.get(id);
  }

  @EndsSessions()
  @Patch(':id')
  @AdminsOnly()
  @RequiresFresh()
  @ApiUserId()
  @ApiOperation({
    operationId: 'updateUser',
    summary: 'Change roles, profile, or whether the user can sign in',
    description:
      'Roles act at once, and sessions that no longer meet the policy end. A deactivated user is signed out everywhere and told by mail; what was open for him is void.',
  })
  @ApiBody({
    type: UpdateUserDto,
    examples: {
      roles: { summary: 'Roles', value: { roles: ['support'] } },
      active: { summary: 'Whether he can sign in', value: { active: false } },
      profile: { summary: 'The profile', value: { firstName: 'Ada', lastName: 'King', locale: 'de-AT' } },
    },
  })
  @ApiOkResponse({ type: AdminUserDto, description: 'The user as he is now.' })
  @Problems('not_found', 'last_admin')
  update(
    @UserId() id: string,
    @Body() changes: UpdateUserDto,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<AdminUserDto> {
    return this.users.update(id, changes, byAdmin(admin, client));
  }

  @EndsSessions()
  @Delete(':id')
  @HttpCode(204)
  @AdminsOnly()
  @RequiresFresh()
  @ApiUserId()
  @ApiOperation({
    operationId: 'deleteUser',
    summary: 'Delete a user',
    description: 'With everything that is his; the audit log stays. He is told by mail. To keep him, deactivate him.',
  })
  @ApiNoContentResponse({ description: 'Deleted.' })
  @Problems('not_found', 'last_admin')
  async remove(
    @UserId() id: string,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.removal.remove(id, byAdmin(admin, client));
  }
}
