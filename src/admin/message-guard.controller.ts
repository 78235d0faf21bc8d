import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { MessageGuard } from '../throttling/message-guard.js';
import { AdminsOnly, CurrentUser, RequiresFresh } from '../tokens/access.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { byAdmin } from './by-admin.js';
import { MessageGuardDto, ResetMessageGuardDto, toMessageGuardDto } from './message-guard.dto.js';

@ApiTags('admin')
@Controller('admin/message-guard')
export class MessageGuardController {
  constructor(
    private readonly guard: MessageGuard,
    private readonly config: Config,
  ) {}

  @Get()
  @AdminsOnly()
  @ApiOperation({
    operationId: 'getMessageGuard',
    summary: 'What text messages have cost, and where they pause',
    description: 'Today’s messages and budget, and for each country how many of the last hour’s codes came back.',
  })
  @ApiOkResponse({ type: MessageGuardDto, description: 'As of now.' })
  async get(): Promise<MessageGuardDto> {
    return toMessageGuardDto(await this.guard.state(), this.config.sms);
  }

  @Post('reset')
  @HttpCode(204)
  @AdminsOnly()
  @RequiresFresh()
  @ApiOperation({
    operationId: 'resetMessageGuard',
    summary: 'Let text messages go out again',
    description:
      'Ends the pause of one country; without one all pauses, and the budget of today begins anew. Look first who asked for so many messages: until that ends, the next pause is near.',
  })
  @ApiNoContentResponse({ description: 'Nothing pauses.' })
  async reset(
    @Body() { country }: ResetMessageGuardDto,
    @CurrentUser() admin: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.guard.reset(country ?? null, byAdmin(admin, client));
  }
}
