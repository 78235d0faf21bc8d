import { Controller, Delete, HttpCode } from '@nestjs/common';
import { ApiNoContentResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { Accepts, CurrentUser, RequiresFresh } from '../tokens/access.js';
import { EndsSessions } from '../tokens/ends-sessions.js';
import { ClearsCookies } from '../tokens/cookie-answers.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { AccountRemoval } from './account-removal.service.js';

/** Here and not in `users/`, which must not know who else is an administrator and can sign in. */
@ApiTags('users')
@Controller('users/me')
export class AccountRemovalController {
  constructor(private readonly removal: AccountRemoval) {}

  @EndsSessions()
  @Delete()
  @HttpCode(204)
  @Accepts('access')
  @ClearsCookies()
  @RequiresFresh()
  @ApiOperation({
    operationId: 'deleteOwnAccount',
    summary: 'Delete the own account',
    description: 'With everything that belongs to it, at once and for good; the audit log stays. A last mail says so.',
  })
  @ApiNoContentResponse({ description: 'Deleted.' })
  @Problems('not_found', 'last_admin')
  async remove(@CurrentUser() { userId }: AccessPrincipal, @CurrentClient() client: Client): Promise<void> {
    await this.removal.remove(userId, { client });
  }
}
