import { Controller, Delete, Get, HttpCode, Param, ParseUUIDPipe } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiProperty, ApiTags } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { Accepts, CurrentUser } from '../tokens/access.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { TrustedBrowsers } from './trusted-browsers.service.js';

export class TrustedBrowserDto {
  @ApiProperty({ format: 'uuid', example: '019aa8d2-9a10-7f3c-8d27-5c1e9b7a4f33', description: 'The trust.' })
  id!: string;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0',
    description: 'What the browser called itself.',
  })
  userAgent!: string | null;

  @ApiProperty({ type: String, nullable: true, example: '203.0.113.7', description: 'From where it was trusted.' })
  ip!: string | null;

  @ApiProperty({ type: String, format: 'date-time', example: '2026-11-21T10:00:00.000Z', description: 'Since when.' })
  createdAt!: string;

  @ApiProperty({
    type: String,
    format: 'date-time',
    example: '2026-11-21T10:00:00.000Z',
    description: 'When it last replaced a second factor.',
  })
  lastUsedAt!: string;

  @ApiProperty({ type: String, format: 'date-time', example: '2026-12-21T10:00:00.000Z', description: 'Until when.' })
  expiresAt!: string;
}

export class TrustedBrowserListDto {
  @ApiProperty({ type: [TrustedBrowserDto], description: 'The last used first.' })
  items!: TrustedBrowserDto[];
}

@ApiTags('users')
@Controller('users/me/trusted-browsers')
export class TrustedBrowsersController {
  constructor(private readonly trustedBrowsers: TrustedBrowsers) {}

  @Get()
  @Accepts('access')
  @ApiOperation({ operationId: 'listTrustedBrowsers', summary: 'Browsers that need no second factor' })
  @ApiOkResponse({ type: TrustedBrowserListDto, description: 'The browsers.' })
  async list(@CurrentUser() { userId }: AccessPrincipal): Promise<TrustedBrowserListDto> {
    const browsers = await this.trustedBrowsers.findAll(userId);
    return {
      items: browsers.map(({ createdAt, lastUsedAt, expiresAt, ...browser }) => ({
        ...browser,
        createdAt: createdAt.toISOString(),
        lastUsedAt: lastUsedAt.toISOString(),
        expiresAt: expiresAt.toISOString(),
      })),
    };
  }

  @Delete(':id')
  @HttpCode(204)
  @Accepts('access')
  @ApiParam({
    name: 'id',
    format: 'uuid',
    example: '019aa8d2-9a10-7f3c-8d27-5c1e9b7a4f33',
    description: 'One of the list.',
  })
  @ApiOperation({ operationId: 'forgetTrustedBrowser', summary: 'Ask this browser for a second factor again' })
  @ApiNoContentResponse({ description: 'Forgotten.' })
  @Problems('not_found')
  async forget(
    @Param('id', ParseUUIDPipe) id: string,
    @CurrentUser() { userId }: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.trustedBrowsers.forget(userId, id, client);
  }

  @Delete()
  @HttpCode(204)
  @Accepts('access')
  @ApiOperation({ operationId: 'forgetTrustedBrowsers', summary: 'Ask every browser for a second factor again' })
  @ApiNoContentResponse({ description: 'Forgotten.' })
  async forgetAll(@CurrentUser() { userId }: AccessPrincipal, @CurrentClient() client: Client): Promise<void> {
    await this.trustedBrowsers.forget(userId, null, client);
  }
}
