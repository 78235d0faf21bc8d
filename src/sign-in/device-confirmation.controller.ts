import { Body, Controller, HttpCode, Param, ParseUUIDPipe, Post } from '@nestjs/common';
import { ApiExtraModels, ApiOkResponse, ApiOperation, ApiTags, getSchemaPath } from '@nestjs/swagger';
import { CurrentClient, type Client } from '../audit/client.js';
import { Devices } from '../otp-devices/devices.service.js';
import { ApiDeviceId, ConfirmDeviceDto, ConfirmedDeviceDto, toDeviceDto } from '../otp-devices/otp-devices.dto.js';
import { Problems } from '../problems/answers.js';
import { ThrottledAs } from '../throttling/ip-throttle.guard.js';
import { Accepts, CurrentPrincipal, RequiresFresh } from '../tokens/access.js';
import { AnswersTokens } from '../tokens/cookie-answers.js';
import type { Principal } from '../tokens/principal.js';
import { TwoFactor } from '../two-factor/two-factor.service.js';
import { SIGN_IN_RESULT, type SignInResult } from './sign-in.dto.js';
import { SignIn } from './sign-in.service.js';

/**
 * The confirmation of a device. It stands here and not beside the other routes of a device, because with an
 * enrollment token it ends in a session, and only the sign-in pipeline may begin one.
 */
@ApiTags('otp-devices')
@Controller('otp-devices')
export class DeviceConfirmationController {
  constructor(
    private readonly devices: Devices,
    private readonly signIn: SignIn,
    private readonly twoFactor: TwoFactor,
  ) {}

  @Post(':id/confirm')
  @HttpCode(200)
  @Accepts('access', 'enrollment')
  @AnswersTokens()
  @RequiresFresh()
  @ThrottledAs('sign-in')
  @ApiOperation({
    operationId: 'confirmOtpDevice',
    summary: 'Confirm a device with a code that it gave',
    description:
      'With an access token the answer is the device; with an enrollment token it is a SignInResult, as the code just proved is the second factor. Unfinished sign-ins become void.',
  })
  @ApiDeviceId()
  @ApiExtraModels(ConfirmedDeviceDto)
  @ApiOkResponse({
    description: 'Confirmed.',
    schema: {
      oneOf: [{ $ref: getSchemaPath(ConfirmedDeviceDto) }, { $ref: `#/components/schemas/${SIGN_IN_RESULT}` }],
    },
  })
  @Problems(
    'invalid_code',
    'token_already_used',
    'too_many_attempts',
    'method_not_allowed',
    'not_found',
    'device_already_confirmed',
    'identity_taken',
    'device_expired',
    'retry_too_soon',
    'too_many_failures',
  )
  async confirm(
    @Param('id', ParseUUIDPipe) id: string,
    @Body() { code }: ConfirmDeviceDto,
    @CurrentPrincipal() principal: Principal,
    @CurrentClient() client: Client,
  ): Promise<ConfirmedDeviceDto | SignInResult> {
    if (principal.kind === 'enrollment') return this.signIn.confirmEnrollment(principal, id, code, client);
    return this.devices.confirm(principal.userId, id, code, client, async (tx, _proof, recoveryCodes) => {
      const { preferred } = await this.twoFactor.factsOf(tx, principal.userId);
      const device = toDeviceDto(await this.devices.getOwn(principal.userId, id, tx), preferred);
      return recoveryCodes === null ? { device } : { device, recoveryCodes };
    });
  }
}
