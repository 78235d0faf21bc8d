import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { invalidField, type Problem } from '../problems/problem.js';

const MAX_LIMIT = 200;

/** The query of every list. */
export class PageQueryDto {
  @ApiPropertyOptional({
    type: 'integer',
    description: 'How many at most.',
    minimum: 1,
    maximum: MAX_LIMIT,
    default: 50,
    example: 50,
  })
  // A query holds text only; what is not a plain number stays text, and is refused.
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' && /^\d{1,4}$/.test(value) ? +value : value))
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_LIMIT)
  limit: number = 50;

  @ApiPropertyOptional({
    description: '`nextCursor` of the page before; absent for the first one.',
    example: 'WyIwMTlhIl0',
  })
  @IsOptional()
  @IsString()
  @MaxLength(1000)
  cursor?: string;
}

/** One page of a list, and where the next one begins. */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/** The response property that every page has beside its `items`. */
export class PageDto {
  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Send it as `cursor` to get the next page; null after the last one.',
    example: 'WyIwMTlhIl0',
  })
  nextCursor!: string | null;
}

/**
 * A page of rows that were asked for with `limit + 1`: the one too many tells that there is more. `key` is what the
 * rows are ordered by, ending in something unique.
 */
export function pageOf<T>(rows: readonly T[], limit: number, key: (row: T) => readonly (string | null)[]): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? encodeCursor(key(last)) : null };
}

function encodeCursor(key: readonly (string | null)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/**
 * The key after which a page begins; null for the first page. It comes from a client: use it as parameters only.
 * @throws Problem validation_failed
 */
export function readCursor(cursor: string | undefined, length: number): (string | null)[] | null {
  if (cursor === undefined) return null;
  const key = parse(Buffer.from(cursor, 'base64url').toString());
  if (!Array.isArray(key) || key.length !== length || !key.every(isPart)) throw invalidCursor();
  return key;
}

/** PostgreSQL knows no text that holds NUL. */
function isPart(part: unknown): part is string | null {
  return part === null || (typeof part === 'string' && !part.includes('\0'));
}

export function invalidCursor(): Problem {
  return invalidField('cursor', 'must be the nextCursor of an earlier page');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
