import { ApiProperty, ApiPropertyOptional, PickType } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { ArrayMaxSize, ArrayNotEmpty, IsArray, IsObject, IsOptional, IsUUID, ValidateNested } from 'class-validator';
import { RULE_METHODS } from '../two-factor/policy.js';
import { DeviceSummaryDto } from '../two-factor/two-factor.dto.js';
import { ListUsersDto } from './admin-users.dto.js';
import { RuleDemandDto, RuleDto } from './two-factor-policy.dto.js';

/** How many users one operation may be about. */
export const BULK_LIMIT = 10_000;

/** What holds for a user, and why. */
export class EffectiveTwoFactorDto {
  @ApiProperty({ example: true, description: 'Whether a second factor is required of him now.' })
  required!: boolean;

  @ApiProperty({
    enum: RULE_METHODS,
    isArray: true,
    example: ['totp'],
    description: 'Methods that are accepted from him now.',
  })
  methods!: string[];

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: null,
    description: 'When what he has will no longer do; null where it will, or where it does not do now.',
  })
  deadline!: string | null;

  @ApiProperty({ type: RuleDto, description: 'The rule that decided.' })
  decidedBy!: RuleDto;

  @ApiProperty({
    example: 'the rule of the role support requires a second factor; accepted: totp',
    description: 'The same in a sentence.',
  })
  reason!: string;
}

/** A user’s own rule, and what all rules together mean for him. */
export class UserTwoFactorDto {
  @ApiProperty({ example: false, description: 'Whether his own rule requires a second factor.' })
  required!: boolean;

  @ApiProperty({
    enum: RULE_METHODS,
    isArray: true,
    nullable: true,
    example: null,
    description: 'Methods that his own rule accepts; null: it does not narrow them.',
  })
  methods!: string[] | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: null,
    description: 'Until then his own rule demands nothing.',
  })
  deadline!: string | null;

  @ApiProperty({ type: EffectiveTwoFactorDto, description: 'What holds for him, and why.' })
  effective!: EffectiveTwoFactorDto;

  @ApiProperty({ type: [RuleDto], description: 'Every rule that was considered, from the general to the particular.' })
  rules!: RuleDto[];

  @ApiProperty({ type: [DeviceSummaryDto], description: 'His confirmed devices, masked.' })
  devices!: DeviceSummaryDto[];

  @ApiProperty({ type: 'integer', example: 10, description: 'Recovery codes that he has not used.' })
  recoveryCodesLeft!: number;
}

/** Some of the filters of the list of users. */
export class UserFilterDto extends PickType(ListUsersDto, ['q', 'role', 'twoFactor', 'method'] as const) {}

/** The same rule for many users: a list of them, or all that a filter finds. */
export class BulkRuleDto extends RuleDemandDto {
  @ApiPropertyOptional({
    type: [String],
    format: 'uuid',
    maxItems: BULK_LIMIT,
    example: ['019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11'],
    description: 'The users. Unknown and inactive ones are left out.',
  })
  @IsOptional()
  @IsArray()
  @ArrayNotEmpty()
  @ArrayMaxSize(BULK_LIMIT)
  @IsUUID(undefined, { each: true })
  userIds?: string[];

  @ApiPropertyOptional({
    type: UserFilterDto,
    example: { role: 'support' },
    description: 'Instead: all whom the list of users would show with this filter.',
  })
  @IsOptional()
  @IsObject()
  @ValidateNested()
  @Type(() => UserFilterDto)
  filter?: UserFilterDto;
}

/** What an operation on many users did. */
export class BulkRuleResultDto {
  @ApiProperty({
    format: 'uuid',
    example: '019aa8d2-9c40-7d1b-8a6e-5b2f7c3d4e10',
    description: 'It is in the audit log.',
  })
  operationId!: string;

  @ApiProperty({ type: 'integer', example: 250, description: 'Users who have the rule now.' })
  users!: number;

  @ApiProperty({ type: 'integer', example: 31, description: 'Sessions that did not meet it and were ended.' })
  sessionsEnded!: number;
}
