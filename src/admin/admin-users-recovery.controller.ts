import { Controller, Delete, HttpCode, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiNoContentResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { SentDto } from '../sign-in/links.dto.js';
import { AdminsOnly, CurrentUser, RequiresFresh } from '../tokens/access.js';
import { EndsSessions } from '../tokens/ends-sessions.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { AdminUsersRecovery } from './admin-users-recovery.service.js';
import { byAdmin } from './by-admin.js';
import { ApiUserId, UserId } from './user-id.js';

@ApiTags('admin')
@Controller('admin/users/:id')
export class AdminUsersRecoveryController {
  constructor(private readonly recovery: AdminUsersRecovery) {}

  @EndsSessions()
  @Post('two-factor/reset')
  @HttpCode(204)
  @AdminsOnly()
  @RequiresFresh()
  @ApiUserId()
  @ApiOperation({
    operationId: 'resetTwoFactor',
    summary: 'Remove every second factor of a user',
    description:
      'For somebody who has lost his devices and recovery codes: his next sign-in enrolls. Make sure first that it is he who asks. Sessions end, and he is told by mail.',
  })
  @ApiNoContentResponse({ description: 'Removed.' })
  @Problems('not_found', 'last_admin')
  async resetTwoFactor(
    @UserId() id: string,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.recovery.resetTwoFactor(id, byAdmin(admin, client));
  }

  /** Without a fresh proof: it takes access away from whoever has stolen it, and must not wait. */
  @EndsSessions()
  @Delete('sessions')
  @HttpCode(204)
  @AdminsOnly()
  @ApiUserId()
  @ApiOperation({ operationId: 'endSessions', summary: 'Sign a user out everywhere' })
  @ApiNoContentResponse({ description: 'Signed out.' })
  @Problems('not_found')
  async endSessions(
    @UserId() id: string,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.recovery.endSessions(id, byAdmin(admin, client));
  }

  @Post('unlock')
  @HttpCode(204)
  @AdminsOnly()
  @RequiresFresh()
  @ApiUserId()
  @ApiOperation({
    operationId: 'unlockUser',
    summary: 'End the pauses after failures',
    description: 'After wrong passwords and codes; devices that were closed by them work again.',
  })
  @ApiNoContentResponse({ description: 'Nothing pauses.' })
  @Problems('not_found')
  async unlock(
    @UserId() id: string,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.recovery.unlock(id, byAdmin(admin, client));
  }

  @Post('recovery-link')
  @HttpCode(202)
  @AdminsOnly()
  @RequiresFresh()
  @ApiUserId()
  @ApiOperation({
    operationId: 'sendRecoveryLink',
    summary: 'Send a user the link to choose a new password',
    description: 'To his verified e-mail address. The link is shown to nobody else, and his second factor stays.',
  })
  @ApiAcceptedResponse({ type: SentDto, description: 'Sent.' })
  @Problems('not_found', 'recovery_not_possible', 'code_recently_sent')
  async sendRecoveryLink(
    @UserId() id: string,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<SentDto> {
    return { resendIn: await this.recovery.sendRecoveryLink(id, byAdmin(admin, client)) };
  }
}
