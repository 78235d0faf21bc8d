import { ApiProperty } from '@nestjs/swagger';
import { browserName } from './browser-name.js';
import type { LiveSession } from './session.queries.js';

/** One signed-in place. */
export class SessionDto {
  @ApiProperty({ format: 'uuid', example: '019aa8d2-9a10-7f3c-8d27-5c1e9b7a4f33', description: 'The session.' })
  id!: string;

  @ApiProperty({ example: true, description: 'Whether this very request belongs to it.' })
  current!: boolean;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'Firefox 145 on Linux',
    description: 'The browser and system, as far as they told; null where they told nothing that is known.',
  })
  name!: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
    description: 'What the browser called itself at the sign-in.',
  })
  userAgent!: string | null;

  @ApiProperty({ type: String, nullable: true, example: '203.0.113.7', description: 'The address of the sign-in.' })
  ip!: string | null;

  @ApiProperty({ type: [String], example: ['pwd', 'otp', 'mfa'], description: 'What was proved in it (RFC 8176).' })
  amr!: string[];

  @ApiProperty({ format: 'date-time', example: '2026-11-21T10:00:00.000Z', description: 'When it began.' })
  createdAt!: string;

  @ApiProperty({
    format: 'date-time',
    example: '2026-11-21T10:00:00.000Z',
    description: 'When a factor was last proved in it.',
  })
  authenticatedAt!: string;

  @ApiProperty({
    format: 'date-time',
    example: '2026-11-21T10:05:00.000Z',
    description: 'When its tokens were last renewed: it was in use some minutes after that, at most.',
  })
  lastUsedAt!: string;

  @ApiProperty({
    format: 'date-time',
    example: '2026-11-28T10:05:00.000Z',
    description: 'When it ends unless it is used; never later than the longest life of a session.',
  })
  expiresAt!: string;
}

export class SessionListDto {
  @ApiProperty({ type: [SessionDto], description: 'The last used first.' })
  items!: SessionDto[];
}

export function toSessionDto(session: LiveSession, currentId: string): SessionDto {
  return {
    id: session.id,
    current: session.id === currentId,
    name: browserName(session.userAgent),
    userAgent: session.userAgent,
    ip: session.ip,
    amr: session.amr,
    createdAt: session.createdAt.toISOString(),
    authenticatedAt: session.authenticatedAt.toISOString(),
    lastUsedAt: session.refreshedAt.toISOString(),
    expiresAt: session.expiresAt.toISOString(),
  };
}
