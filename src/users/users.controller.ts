import { Body, Controller, Get, HttpCode, Patch, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { ThrottledAs } from '../throttling/ip-throttle.guard.js';
import { Accepts, CurrentUser, Public, RequiresFresh } from '../tokens/access.js';
import { EndsSessions } from '../tokens/ends-sessions.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { ChangePasswordDto, RegisterDto, toUserDto, UpdateProfileDto, UserDto } from './users.dto.js';
import { Users } from './users.service.js';

@ApiTags('users')
@Controller('users')
export class UsersController {
  constructor(private readonly users: Users) {}

  @Post()
  @Public()
  @ThrottledAs('sign-in')
  @ApiOperation({
    operationId: 'registerUser',
    summary: 'Register',
    description:
      'The answer is the same where the address or name is taken, unless the deployment reveals that (409); its owner is told by mail.',
  })
  @ApiCreatedResponse({ type: UserDto, description: 'The new user.' })
  @Problems('registration_closed', 'identity_taken', 'busy')
  async register(@Body() body: RegisterDto, @CurrentClient() client: Client): Promise<UserDto> {
    return toUserDto(await this.users.register(body, client));
  }

  @Get('me')
  @Accepts('access')
  @ApiOperation({ operationId: 'getMe', summary: 'The signed-in user' })
  @ApiOkResponse({ type: UserDto, description: 'The user.' })
  async me(@CurrentUser() { userId }: AccessPrincipal): Promise<UserDto> {
    return toUserDto(await this.users.getActive(userId));
  }

  @Patch('me')
  @Accepts('access')
  @ApiOperation({
    operationId: 'updateMe',
    summary: 'Change the profile',
    description: 'Addresses, roles and everything about security have ways of their own and are refused here.',
  })
  @ApiOkResponse({ type: UserDto, description: 'The user.' })
  async update(
    @Body() body: UpdateProfileDto,
    @CurrentUser() { userId }: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<UserDto> {
    return toUserDto(await this.users.updateProfile(userId, body, client));
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
