import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { Accepts, CurrentUser, RequiresFresh } from '../tokens/access.js';
import { EndsSessions } from '../tokens/ends-sessions.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { ChangePasswordDto, toUserDto, UserDto } from './users.dto.js';
import { Users } from './users.service.js';

@ApiTags('users')
@Controller('users')
export class UsersController {
  constructor(private readonly users: Users) {}

  @Get('me')
  @Accepts('access')
  @ApiOperation({ operationId: 'getMe', summary: 'The signed-in user' })
  @ApiOkResponse({ type: UserDto, description: 'The user.' })
  async me(@CurrentUser() { userId }: AccessPrincipal): Promise<UserDto> {
    return toUserDto(await this.users.getActive(userId));
  }

  @EndsSessions()
  @Post('me/password')
  @HttpCode(204)
  @Accepts('access')
  @RequiresFresh()
  @ApiOperation({
    operationId: 'changePassword',
    summary: 'Change the password',
    description: 'Every other session ends, and unfinished sign-ins become void. The user is told by mail.',
  })
  @ApiNoContentResponse({ description: 'Changed.' })
  @Problems('invalid_credentials', 'too_many_failures', 'busy')
  async changePassword(
    @Body() body: ChangePasswordDto,
    @CurrentUser() { userId, sessionId }: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.users.changePassword(userId, sessionId, body, client);
  }
}
