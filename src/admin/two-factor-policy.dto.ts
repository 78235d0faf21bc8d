import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ArrayNotEmpty,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsISO8601,
  IsOptional,
  IsString,
  IsUUID,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateIf,
} from 'class-validator';
import { PageDto } from '../paging/page.js';
import { RULE_METHODS, type RuleMethod } from '../two-factor/policy.js';
import type { RequirementRule, RuleLevel } from '../two-factor/requirement.js';
import { ROLE_NAME } from '../users/role.js';

const METHODS_PROPERTY = {
  enum: RULE_METHODS,
  isArray: true,
  nullable: true,
  example: ['totp'],
} as const;

const DEADLINE_PROPERTY = {
  type: String,
  format: 'date-time',
  nullable: true,
  example: '2027-03-31T22:00:00Z',
} as const;

/** ISO 8601 also has weeks, days of the year and hours without minutes, none of which JavaScript reads. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

const IsDeadline = () => (target: object, property: string) => {
  IsISO8601({ strict: true })(target, property);
  Matches(MOMENT, { message: `${property} must be a time with its time zone, such as 2027-03-31T22:00:00Z` })(
    target,
    property,
  );
};

/** What a rule demands. */
export class RuleDemandDto {
  @ApiProperty({ example: true, description: 'Whether a second factor is required. `false` asks for nothing.' })
  @IsBoolean()
  required!: boolean;

  @ApiPropertyOptional({
    ...METHODS_PROPERTY,
    description: 'Methods that are accepted, of those that the configuration trusts. Absent or null: all of them.',
  })
  @IsOptional()
  @IsArray()
  @ArrayNotEmpty()
  @ArrayUnique()
  @IsIn(RULE_METHODS, { each: true })
  methods?: RuleMethod[] | null;

  @ApiPropertyOptional({
    ...DEADLINE_PROPERTY,
    description:
      'Until then the rule demands nothing, and sign-ins name the deadline to users who are not prepared. In the future, with its time zone. Absent or null: the rule holds at once.',
  })
  @IsOptional()
  @IsDeadline()
  deadline?: string | null;
}

/** The rule of one user, as far as it changes. */
export class UpdateUserRuleDto {
  @ApiPropertyOptional({ example: true, description: 'Whether a second factor is required of this user.' })
  @ValidateIf((body: UpdateUserRuleDto) => body.required !== undefined)
  @IsBoolean()
  required?: boolean;

  @ApiPropertyOptional({ ...METHODS_PROPERTY, description: 'Methods that are accepted from him; null: all.' })
  @IsOptional()
  @IsArray()
  @ArrayNotEmpty()
  @ArrayUnique()
  @IsIn(RULE_METHODS, { each: true })
  methods?: RuleMethod[] | null;

  @ApiPropertyOptional({ ...DEADLINE_PROPERTY, description: 'Until then nothing is demanded; null: at once.' })
  @IsOptional()
  @IsDeadline()
  deadline?: string | null;
}

/** One rule, and whether it is in force. */
export class RuleDto {
  @ApiProperty({
    enum: ['configuration', 'global', 'role', 'user', 'self'],
    example: 'role',
    description: 'Who it is about. `configuration`: the operator’s settings; `self`: the user’s own wish.',
  })
  level!: RuleLevel;

  @ApiProperty({ type: String, nullable: true, example: 'support', description: 'The role of a role’s rule.' })
  role!: string | null;

  @ApiProperty({ example: true, description: 'Whether it requires a second factor.' })
  required!: boolean;

  @ApiProperty({ ...METHODS_PROPERTY, description: 'Methods that it accepts; null: it does not narrow them.' })
  methods!: string[] | null;

  @ApiProperty({ ...DEADLINE_PROPERTY, description: 'Until then it demands nothing.' })
  deadline!: string | null;

  @ApiProperty({ example: true, description: 'Whether it demands something now.' })
  inForce!: boolean;
}

export function toRuleDto({ level, role, required, methods, deadline, inForce }: RequirementRule): RuleDto {
  return {
    level,
    role,
    required,
    methods: methods && [...methods],
    deadline: deadline?.toISOString() ?? null,
    inForce,
  };
}

/** All rules but those of users. */
export class PolicyDto {
  @ApiProperty({ type: RuleDto, description: 'What the operator’s settings demand; no rule can lower it.' })
  configuration!: RuleDto;

  @ApiProperty({
    enum: ['email', 'sms', 'none'],
    example: 'email',
    description: 'What is asked of a user who has no device of an accepted method yet.',
  })
  fallbackMethod!: string;

  @ApiProperty({
    type: RuleDto,
    nullable: true,
    example: null,
    description: 'The rule for everybody, where there is one.',
  })
  global!: RuleDto | null;

  @ApiProperty({ type: [RuleDto], description: 'The rules of roles, by name.' })
  roles!: RuleDto[];
}

/** A rule that was written. */
export class RuleChangeDto {
  @ApiProperty({ type: RuleDto, description: 'The rule as it stands now.' })
  rule!: RuleDto;

  @ApiProperty({ type: 'integer', example: 12, description: 'Sessions that did not meet it and were ended.' })
  sessionsEnded!: number;
}

export const FORESEEN = ['mustEnroll', 'cannotSignIn', 'unaffected'] as const;
export type Foreseen = (typeof FORESEEN)[number];

/** A rule that is only proposed. */
export class ProposedRuleDto extends RuleDemandDto {
  @ApiProperty({ enum: ['global', 'role', 'user'], example: 'role', description: 'Who it would be about.' })
  @IsIn(['global', 'role', 'user'])
  level!: 'global' | 'role' | 'user';

  @ApiPropertyOptional({ example: 'support', description: 'With the level `role`.' })
  @ValidateIf((body: ProposedRuleDto) => body.level === 'role' || body.role !== undefined)
  @Matches(ROLE_NAME, { message: 'role must be a role’s name' })
  role?: string;

  @ApiPropertyOptional({
    format: 'uuid',
    description: 'With the level `user`.',
    example: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11',
  })
  @ValidateIf((body: ProposedRuleDto) => body.level === 'user' || body.userId !== undefined)
  @IsUUID()
  userId?: string;

  @ApiPropertyOptional({
    enum: FORESEEN,
    example: 'cannotSignIn',
    description: 'Also list the users whom this would happen to.',
  })
  @IsOptional()
  @IsIn(FORESEEN)
  list?: Foreseen;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: 200,
    default: 50,
    example: 50,
    description: 'How many users to list.',
  })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(200)
  limit?: number;

  @ApiPropertyOptional({ description: '`nextCursor` of the page of users before.', example: 'WyIwMTlhIl0' })
  @IsOptional()
  @IsString()
  @MaxLength(1000)
  cursor?: string;
}

/** A user in a preview. */
export class ForeseenUserDto {
  @ApiProperty({ format: 'uuid', example: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11', description: 'The user.' })
  id!: string;

  @ApiProperty({ type: String, nullable: true, example: 'ada@example.com', description: 'His e-mail address.' })
  email!: string | null;

  @ApiProperty({ type: String, nullable: true, example: 'ada', description: 'His username.' })
  username!: string | null;

  @ApiProperty({ type: String, nullable: true, example: '+4930123456', description: 'His phone number.' })
  phoneNumber!: string | null;
}

export class ForeseenUsersDto extends PageDto {
  @ApiProperty({ type: [ForeseenUserDto], description: 'In the order in which they registered.' })
  items!: ForeseenUserDto[];
}

/** What would happen; nothing has been changed. */
export class PreviewDto {
  @ApiProperty({ type: 'integer', example: 1200, description: 'Active users whom the rule would be about.' })
  users!: number;

  @ApiProperty({
    type: 'integer',
    example: 340,
    description: 'Those whose next sign-in would lead to the enrollment of a device first.',
  })
  mustEnroll!: number;

  @ApiProperty({
    type: 'integer',
    example: 3,
    description:
      'Those who could not sign in at all: they have no device that is accepted and nothing to receive a code by.',
  })
  cannotSignIn!: number;

  @ApiProperty({ type: 'integer', example: 857, description: 'All others: they sign in with what they have.' })
  unaffected!: number;

  @ApiProperty({ type: 'integer', example: 61, description: 'Live sessions that do not meet it and would end.' })
  sessionsEnding!: number;

  @ApiProperty({
    type: ForeseenUsersDto,
    nullable: true,
    example: null,
    description: 'The users of `list`; null where none was asked for.',
  })
  list!: ForeseenUsersDto | null;
}
