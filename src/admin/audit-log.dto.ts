import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, isISO8601, IsISO8601, IsOptional, IsUUID, Matches, MaxLength } from 'class-validator';
import type { EventFilter } from '../audit/audit-log.queries.js';
import type { StoredEvent } from '../audit/stored-event.js';
import { PageDto, PageQueryDto } from '../paging/page.js';

const ACTORS = ['user', 'admin', 'cli', 'system'] as const;
const FORMATS = ['json', 'ndjson'] as const;
const EXAMPLE_TIME = '2026-11-22T09:30:00.000000Z';

/** What both JavaScript and PostgreSQL take for a time: no year 0, and no offset that is nowhere on Earth. */
const TIME = /^[12]\d{3}-\d\d-\d\dT([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,6})?(Z|[+-](0\d|1[0-4]):[0-5]\d)$/;

const IsTime = () => (target: object, property: string) => {
  IsISO8601({ strict: true })(target, property);
  Matches(TIME, { message: `${property} must be a time with its offset, such as ${EXAMPLE_TIME}` })(target, property);
};

/** The query of the audit log. Filters are joined by "and". */
export class ListAuditEventsDto extends PageQueryDto {
  @ApiPropertyOptional({ format: 'uuid', description: 'Events about this user.' })
  @IsOptional()
  @IsUUID()
  userId?: string;

  @ApiPropertyOptional({ enum: ACTORS, example: 'admin', description: 'Who acted.' })
  @IsOptional()
  @IsIn(ACTORS)
  actor?: (typeof ACTORS)[number];

  @ApiPropertyOptional({ format: 'uuid', description: 'What this administrator did.' })
  @IsOptional()
  @IsUUID()
  actorId?: string;

  @ApiPropertyOptional({ maxLength: 64, example: 'sign-in.failed', description: 'Events of this type.' })
  @IsOptional()
  @MaxLength(64)
  @Matches(/^[a-z-]+\.[a-z-]+$/, { message: 'type must be the name of an event such as sign-in.failed' })
  type?: string;

  @ApiPropertyOptional({ format: 'date-time', example: EXAMPLE_TIME, description: 'Not before this time.' })
  @IsOptional()
  @IsTime()
  from?: string;

  @ApiPropertyOptional({ format: 'date-time', example: '2026-11-23T09:30:00Z', description: 'Before this time.' })
  @IsOptional()
  @IsTime()
  to?: string;

  @ApiPropertyOptional({
    enum: FORMATS,
    default: 'json',
    example: 'json',
    description:
      '`ndjson` answers everything that matches, the oldest first, as a file with one event a line; `limit` and `cursor` then mean nothing.',
  })
  @IsOptional()
  @IsIn(FORMATS)
  format: (typeof FORMATS)[number] = 'json';
}

/** One thing that happened. */
export class AuditEventDto {
  @ApiProperty({ format: 'uuid', example: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11' })
  id!: string;

  @ApiProperty({ example: 'sign-in.failed', description: 'What happened.' })
  type!: string;

  @ApiProperty({ format: 'date-time', example: EXAMPLE_TIME, description: 'When, to the microsecond.' })
  at!: string;

  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'The user whom it is about.' })
  userId!: string | null;

  @ApiProperty({
    enum: ACTORS,
    example: 'user',
    description: 'Who acted: a user, an administrator, somebody at the command line, or the service itself.',
  })
  actor!: string;

  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'The administrator who acted.' })
  actorId!: string | null;

  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'The session in which it happened.' })
  sessionId!: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'The X-Request-Id of the request.' })
  requestId!: string | null;

  @ApiProperty({ type: String, nullable: true, example: '203.0.113.7', description: 'Where the request came from.' })
  ip!: string | null;

  @ApiProperty({ type: String, nullable: true, example: 'curl/8.14.1', description: 'What made the request.' })
  userAgent!: string | null;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    example: { reason: 'wrong_password' },
    description: 'What an event of this type tells besides.',
  })
  details!: Record<string, unknown>;
}

export class AuditEventPageDto extends PageDto {
  @ApiProperty({ type: [AuditEventDto], description: 'The newest first.' })
  items!: AuditEventDto[];
}

export function toAuditEventDto(event: StoredEvent): AuditEventDto {
  const { id, type, at, userId, actor, actorId, sessionId, requestId, ip, userAgent, details } = event;
  return { id, type, at, userId, actor, actorId, sessionId, requestId, ip, userAgent, details };
}

export function filterOf({ userId, actor, actorId, type, from, to }: ListAuditEventsDto): EventFilter {
  return { userId, actor, actorId, type, from, to };
}

/** Whether a part of a cursor is a time; cursors come from clients. */
export const isTime = (text: string): boolean => TIME.test(text) && isISO8601(text, { strict: true });
