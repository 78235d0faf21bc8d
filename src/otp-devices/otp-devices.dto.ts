import { ApiParam, ApiProperty } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsString, MaxLength, MinLength, ValidateIf } from 'class-validator';
import { deviceLabel } from '../two-factor/device-label.js';
import { METHOD_TYPES, type MethodType } from '../two-factor/policy.js';
import type { OtpDevice } from './otp-device.entity.js';
import type { ShownOnce } from './methods/method.js';

const NAME_MAX_LENGTH = 64;
const EXAMPLE_DEVICE = '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c22';

/** The `{id}` of a path below /otp-devices. */
export const ApiDeviceId = () =>
  ApiParam({
    name: 'id',
    format: 'uuid',
    example: EXAMPLE_DEVICE,
    description: 'One of the user’s own devices.',
  });

/** An authenticator app. */
export class CreateTotpDeviceDto {
  @ApiProperty({ enum: ['totp'], description: 'An authenticator app.' })
  type!: 'totp';

  @ApiProperty({
    required: false,
    maxLength: NAME_MAX_LENGTH,
    example: 'My phone',
    description: 'How the user calls it.',
  })
  name?: string;
}

/** A mailbox. */
export class CreateEmailDeviceDto {
  @ApiProperty({ enum: ['email'], description: 'A mailbox; a code is sent to it at once.' })
  type!: 'email';

  @ApiProperty({
    format: 'idn-email',
    maxLength: 254,
    example: 'ada@example.org',
    description: 'Where codes are sent.',
  })
  email!: string;

  @ApiProperty({ required: false, maxLength: NAME_MAX_LENGTH, example: 'Work', description: 'How the user calls it.' })
  name?: string;
}

/** A phone. */
export class CreateSmsDeviceDto {
  @ApiProperty({ enum: ['sms'], description: 'A phone; a code is sent to it at once.' })
  type!: 'sms';

  @ApiProperty({ maxLength: 64, example: '+4915112345678', description: 'With its country code (E.164).' })
  phoneNumber!: string;

  @ApiProperty({ required: false, maxLength: NAME_MAX_LENGTH, example: 'Work', description: 'How the user calls it.' })
  name?: string;
}

/** A new sheet of recovery codes, instead of the present one. */
export class CreateRecoveryCodesDto {
  @ApiProperty({ enum: ['recovery_codes'], description: 'Needs another confirmed device.' })
  type!: 'recovery_codes';
}

/** What is accepted on the wire; documented as one of those above. */
export class CreateDeviceDto {
  @IsIn(['totp', 'email', 'sms', 'recovery_codes'])
  type!: 'totp' | 'email' | 'sms' | 'recovery_codes';

  @ValidateIf((body: CreateDeviceDto) => body.type === 'sms' || body.phoneNumber !== undefined)
  @IsString()
  @MaxLength(64)
  phoneNumber?: string;

  @ValidateIf((body: CreateDeviceDto) => body.type === 'email' || body.email !== undefined)
  @IsString()
  @MaxLength(254)
  email?: string;

  @ValidateIf((body: CreateDeviceDto) => body.name !== undefined)
  @IsString()
  @MaxLength(NAME_MAX_LENGTH)
  name?: string;
}

export class UpdateDeviceDto {
  @ApiProperty({
    required: false,
    maxLength: NAME_MAX_LENGTH,
    example: 'Old phone',
    description: 'How the user calls it.',
  })
  @ValidateIf((body: UpdateDeviceDto) => body.name !== undefined)
  @IsString()
  @MaxLength(NAME_MAX_LENGTH)
  name?: string;

  @ApiProperty({ required: false, enum: [true], description: 'true: its method is asked first from now on.' })
  @ValidateIf((body: UpdateDeviceDto) => body.preferred !== undefined)
  @IsBoolean()
  @IsIn([true])
  preferred?: true;
}

export class ConfirmDeviceDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 64,
    example: '492039',
    description: 'The code that the app shows, or that was sent.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(64)
  code!: string;
}

/** One of the user's devices. */
export class DeviceDto {
  @ApiProperty({ format: 'uuid', example: EXAMPLE_DEVICE, description: 'The device.' })
  id!: string;

  @ApiProperty({ enum: METHOD_TYPES, enumName: 'MethodType', example: 'totp', description: 'How it is proved.' })
  type!: MethodType;

  @ApiProperty({ example: 'My phone', description: 'How the user calls it; may be empty.' })
  name!: string;

  @ApiProperty({
    example: 'Authenticator app',
    description: 'What to show: a masked address, or the name of the method.',
  })
  label!: string;

  @ApiProperty({ description: 'A device that is not confirmed does not count, and expires soon.' })
  confirmed!: boolean;

  @ApiProperty({ description: 'Whether its method is asked first.' })
  preferred!: boolean;

  @ApiProperty({ type: String, format: 'date-time', description: 'When it was created.' })
  createdAt!: string;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, description: 'When it last proved a sign-in.' })
  lastUsedAt!: string | null;
}

/** A device just created, with what is shown once. */
export class CreatedDeviceDto extends DeviceDto {
  @ApiProperty({
    required: false,
    example: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
    description: 'totp: the secret in base32, to type by hand. Never shown again.',
  })
  secret?: string;

  @ApiProperty({
    required: false,
    example: 'otpauth://totp/Countersign:ada%40example.com?secret=…&issuer=Countersign',
    description: 'totp: what the QR code says. Never shown again.',
  })
  otpauthUrl?: string;

  @ApiProperty({
    required: false,
    example: 'data:image/svg+xml;base64,…',
    description: 'totp: the QR code, a data URL for an `<img>`. Never shown again.',
  })
  qrCode?: string;

  @ApiProperty({
    required: false,
    type: [String],
    example: ['7K3PXQ-M2ZVA9-4TDN8R-WBC6HJ'],
    description: 'recovery_codes: the sheet. Never shown again.',
  })
  codes?: string[];

  @ApiProperty({
    required: false,
    type: 'integer',
    example: 60,
    description: 'email, sms: seconds until another code may be asked for.',
  })
  resendIn?: number;
}

export const EXAMPLE_TOTP_DEVICE: CreatedDeviceDto = {
  id: EXAMPLE_DEVICE,
  type: 'totp',
  name: 'My phone',
  label: 'Authenticator app',
  confirmed: false,
  preferred: false,
  createdAt: '2026-11-21T10:00:00.000Z',
  lastUsedAt: null,
  secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
  otpauthUrl: 'otpauth://totp/Countersign:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Countersign',
  qrCode: 'data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=',
};

export const EXAMPLE_EMAIL_DEVICE: CreatedDeviceDto = {
  id: '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c23',
  type: 'email',
  name: 'Work',
  label: 'a•••@example.org',
  confirmed: false,
  preferred: false,
  createdAt: '2026-11-21T10:00:00.000Z',
  lastUsedAt: null,
  resendIn: 60,
};

export class DeviceListDto {
  @ApiProperty({ type: [DeviceDto], description: 'Confirmed devices, and pending ones that have not expired.' })
  items!: DeviceDto[];
}

/** A device that is confirmed now. */
export class ConfirmedDeviceDto {
  @ApiProperty({ type: DeviceDto, description: 'The device.' })
  device!: DeviceDto;

  @ApiProperty({
    required: false,
    type: [String],
    example: ['7K3PXQ-M2ZVA9-4TDN8R-WBC6HJ'],
    description: 'With the first device: codes for the day it is lost. Never shown again.',
  })
  recoveryCodes?: string[];
}

export class ResendDto {
  @ApiProperty({ type: 'integer', example: 60, description: 'Seconds until another code may be asked for.' })
  resendIn!: number;
}

export function toDeviceDto(device: OtpDevice, preferredMethod: string | null): DeviceDto {
  return {
    id: device.id,
    type: device.type,
    name: device.name,
    label: deviceLabel(device),
    confirmed: device.confirmedAt !== null,
    preferred: device.confirmedAt !== null && device.type === preferredMethod,
    createdAt: device.createdAt.toISOString(),
    lastUsedAt: device.lastUsedAt?.toISOString() ?? null,
  };
}

export function toCreatedDeviceDto(
  device: OtpDevice,
  shownOnce: ShownOnce | { codes: string[] } | null,
  resendIn: number | null,
): CreatedDeviceDto {
  return { ...toDeviceDto(device, null), ...shownOnce, ...(resendIn === null ? {} : { resendIn }) };
}
