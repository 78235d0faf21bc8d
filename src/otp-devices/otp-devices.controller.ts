import { Body, Controller, Delete, Get, HttpCode, Param, ParseUUIDPipe, Patch, Post } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBody,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { CurrentClient, type Client } from '../audit/client.js';
import { Problems } from '../problems/answers.js';
import { ThrottledAs } from '../throttling/ip-throttle.guard.js';
import { Accepts, CurrentPrincipal, CurrentUser, RequiresFresh } from '../tokens/access.js';
import type { AccessPrincipal, Principal } from '../tokens/principal.js';
import { TwoFactor } from '../two-factor/two-factor.service.js';
import { Devices } from './devices.service.js';
import type { OtpDevice } from './otp-device.entity.js';
import {
  ApiDeviceId,
  CreateDeviceDto,
  CreatedDeviceDto,
  CreateEmailDeviceDto,
  CreateRecoveryCodesDto,
  CreateSmsDeviceDto,
  CreateTotpDeviceDto,
  DeviceDto,
  DeviceListDto,
  EXAMPLE_EMAIL_DEVICE,
  EXAMPLE_TOTP_DEVICE,
  ResendDto,
  toCreatedDeviceDto,
  toDeviceDto,
  UpdateDeviceDto,
} from './otp-devices.dto.js';

@ApiTags('otp-devices')
@ApiExtraModels(CreateTotpDeviceDto, CreateEmailDeviceDto, CreateSmsDeviceDto, CreateRecoveryCodesDto)
@Controller('otp-devices')
export class OtpDevicesController {
  constructor(
    private readonly devices: Devices,
    private readonly twoFactor: TwoFactor,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  @Get()
  @Accepts('access')
  @ApiOperation({ operationId: 'listOtpDevices', summary: 'The user’s devices' })
  @ApiOkResponse({ type: DeviceListDto, description: 'The devices.' })
  async list(@CurrentUser() { userId }: AccessPrincipal): Promise<DeviceListDto> {
    const { preferred } = await this.twoFactor.factsOf(this.db, userId);
    const devices = await this.devices.findAll(userId);
    return { items: devices.map((device) => toDeviceDto(device, preferred)) };
  }

  @Post()
  @Accepts('access', 'enrollment')
  @RequiresFresh()
  @ThrottledAs('sign-in', 'send')
  @ApiOperation({
    operationId: 'createOtpDevice',
    summary: 'Create a device, pending until it is confirmed',
    description:
      'An authenticator app’s secret is in this answer and in no other. To a mailbox a code is sent at once. Other pending devices of the type are replaced; confirmed ones never are.',
  })
  @ApiBody({
    schema: {
      oneOf: [CreateTotpDeviceDto, CreateEmailDeviceDto, CreateSmsDeviceDto, CreateRecoveryCodesDto].map((dto) => ({
        $ref: getSchemaPath(dto),
      })),
      discriminator: {
        propertyName: 'type',
        mapping: {
          totp: getSchemaPath(CreateTotpDeviceDto),
          email: getSchemaPath(CreateEmailDeviceDto),
          sms: getSchemaPath(CreateSmsDeviceDto),
          recovery_codes: getSchemaPath(CreateRecoveryCodesDto),
        },
      },
    },
    examples: {
      totp: { summary: 'An authenticator app', value: { type: 'totp', name: 'My phone' } },
      email: { summary: 'A mailbox', value: { type: 'email', email: 'ada@example.org', name: 'Work' } },
      sms: { summary: 'A phone', value: { type: 'sms', phoneNumber: '+4915112345678' } },
      recovery_codes: { summary: 'A new sheet of recovery codes', value: { type: 'recovery_codes' } },
    },
  })
  @ApiCreatedResponse({
    type: CreatedDeviceDto,
    description: 'Created. What is shown once is in this answer only.',
    examples: {
      totp: { summary: 'An authenticator app', value: EXAMPLE_TOTP_DEVICE },
      email: { summary: 'A mailbox', value: EXAMPLE_EMAIL_DEVICE },
    },
  })
  @Problems(
    'identity_refused',
    'address_refused',
    'method_not_allowed',
    'two_factor_not_configured',
    'code_recently_sent',
    'too_many_messages',
    'messages_paused',
  )
  async create(
    @Body() body: CreateDeviceDto,
    @CurrentPrincipal() principal: Principal,
    @CurrentClient() client: Client,
  ): Promise<CreatedDeviceDto> {
    const { device, shownOnce, resendIn } = await this.devices.create(principal, body, client);
    return toCreatedDeviceDto(device, shownOnce, resendIn);
  }

  @Get(':id')
  @Accepts('access')
  @ApiDeviceId()
  @ApiOperation({ operationId: 'getOtpDevice', summary: 'One of the user’s devices' })
  @ApiOkResponse({ type: DeviceDto, description: 'The device.' })
  @Problems('not_found')
  async get(@Param('id', ParseUUIDPipe) id: string, @CurrentUser() { userId }: AccessPrincipal): Promise<DeviceDto> {
    return this.shown(userId, await this.devices.getOwn(userId, id));
  }

  @Patch(':id')
  @Accepts('access')
  @RequiresFresh()
  @ApiDeviceId()
  @ApiOperation({ operationId: 'updateOtpDevice', summary: 'Rename a device, or ask its method first' })
  @ApiOkResponse({ type: DeviceDto, description: 'The device.' })
  @Problems('not_found', 'method_not_allowed')
  async update(
    @Param('id', ParseUUIDPipe) id: string,
    @Body() body: UpdateDeviceDto,
    @CurrentUser() { userId }: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<DeviceDto> {
    return this.shown(userId, await this.devices.update(userId, id, body, client));
  }

  @Delete(':id')
  @HttpCode(204)
  @Accepts('access')
  @RequiresFresh()
  @ApiDeviceId()
  @ApiOperation({
    operationId: 'removeOtpDevice',
    summary: 'Remove a device',
    description: 'Not the last one where a second factor is required. The user is told by mail.',
  })
  @ApiNoContentResponse({ description: 'Removed.' })
  @Problems('not_found', 'last_device')
  async remove(
    @Param('id', ParseUUIDPipe) id: string,
    @CurrentUser() { userId }: AccessPrincipal,
    @CurrentClient() client: Client,
  ): Promise<void> {
    await this.devices.remove(userId, id, client);
  }

  @Post(':id/challenge')
  @HttpCode(202)
  @Accepts('access', 'enrollment')
  @RequiresFresh()
  @ThrottledAs('sign-in', 'send')
  @ApiDeviceId()
  @ApiOperation({
    operationId: 'challengeOtpDevice',
    summary: 'Send another code to a mailbox or phone that is not confirmed yet',
  })
  @ApiAcceptedResponse({ type: ResendDto, description: 'Sent.' })
  @Problems(
    'identity_refused',
    'address_refused',
    'not_found',
    'device_expired',
    'method_not_allowed',
    'code_recently_sent',
    'too_many_messages',
    'messages_paused',
  )
  async challenge(
    @Param('id', ParseUUIDPipe) id: string,
    @CurrentPrincipal() { userId }: Principal,
    @CurrentClient() client: Client,
  ): Promise<ResendDto> {
    return { resendIn: await this.devices.challenge(userId, id, client) };
  }

  private async shown(userId: string, device: OtpDevice): Promise<DeviceDto> {
    const { preferred } = await this.twoFactor.factsOf(this.db, userId);
    return toDeviceDto(device, preferred);
  }
}
