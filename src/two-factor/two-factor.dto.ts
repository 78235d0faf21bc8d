import { ApiProperty } from '@nestjs/swagger';
import { IsBoolean, IsIn, ValidateIf } from 'class-validator';
import { deviceLabel } from './device-label.js';
import { METHOD_TYPES, RULE_METHODS, type MethodType, type RuleMethod } from './policy.js';

/** What a user may decide about his second factor. */
export class UpdateTwoFactorDto {
  @ApiProperty({
    required: false,
    type: String,
    nullable: true,
    enum: [...RULE_METHODS, 'none', null],
    example: 'totp',
    description:
      'The method to ask first; a confirmed device of it must exist. `none` where the policy allows that; null: as the policy says.',
  })
  @ValidateIf((body: UpdateTwoFactorDto) => body.preferredMethod !== undefined && body.preferredMethod !== null)
  @IsIn([...RULE_METHODS, 'none'])
  preferredMethod?: RuleMethod | 'none' | null;

  @ApiProperty({
    required: false,
    example: true,
    description: 'Whether a second factor is always asked. A policy’s own requirement cannot be lowered.',
  })
  @ValidateIf((body: UpdateTwoFactorDto) => body.required !== undefined)
  @IsBoolean()
  required?: boolean;
}

/** A device, as far as a sign-in or a settings page shows it. */
export class DeviceSummaryDto {
  @ApiProperty({ format: 'uuid', example: '019aa8d2-8f02-7a51-b1c4-0d6a1e5b7c22', description: 'The device.' })
  id!: string;

  @ApiProperty({ enum: METHOD_TYPES, enumName: 'MethodType', example: 'email', description: 'How it is proved.' })
  type!: MethodType;

  @ApiProperty({ example: 'Work', description: 'The name that the user gave it; may be empty.' })
  name!: string;

  @ApiProperty({
    example: 'a•••@example.com',
    description: 'What to show: a masked address, or the name of the method.',
  })
  label!: string;
}

export function toDeviceSummary(device: {
  id: string;
  type: MethodType;
  name: string;
  address: string | null;
}): DeviceSummaryDto {
  return { id: device.id, type: device.type, name: device.name, label: deviceLabel(device) };
}

/** The second factor of the signed-in user. */
export class TwoFactorDto {
  @ApiProperty({ description: 'Whether a sign-in always asks for a second factor.' })
  required!: boolean;

  @ApiProperty({ type: String, enum: ['policy', 'user', null], nullable: true, description: 'Who demands it.' })
  requiredBy!: 'policy' | 'user' | null;

  @ApiProperty({
    type: String,
    nullable: true,
    enum: [...RULE_METHODS, 'none', null],
    description: 'The method that is asked first; null: as the policy says.',
  })
  preferredMethod!: MethodType | 'none' | null;

  @ApiProperty({
    enum: RULE_METHODS,
    isArray: true,
    example: ['email', 'totp'],
    description: 'Methods that the policy accepts.',
  })
  methods!: MethodType[];

  @ApiProperty({
    type: [DeviceSummaryDto],
    description: 'Confirmed devices of these methods, the one asked first in front.',
  })
  devices!: DeviceSummaryDto[];

  @ApiProperty({ type: 'integer', example: 0, description: 'Unused recovery codes.' })
  recoveryCodesLeft!: number;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'Until when a requirement that is not met yet is tolerated.',
  })
  deadline!: string | null;
}
