import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Matches, ValidateIf } from 'class-validator';
import type { Config } from '../config/config.js';
import type { GuardState } from '../throttling/message-guard.js';

const COUNTRY = /^[A-Z]{2}$/;

/** What became of the codes that were sent to one country. */
export class GuardedCountryDto {
  @ApiProperty({ pattern: COUNTRY.source, example: 'DE', description: 'ISO 3166-1 alpha-2; ZZ: numbers of none.' })
  country!: string;

  @ApiProperty({ type: 'integer', example: 62, description: 'Codes of the last hour.' })
  sent!: number;

  @ApiProperty({ type: 'integer', example: 3, description: 'Those of them whose number sent a right one back.' })
  verified!: number;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-22T10:30:00.000Z',
    description: 'Until then no text message goes there; null: they go.',
  })
  pausedUntil!: string | null;
}

/** What the guard of text messages has counted, all replicas together. */
export class MessageGuardDto {
  @ApiProperty({ type: 'integer', example: 412, description: 'Text messages of this day, in UTC.' })
  sentToday!: number;

  @ApiProperty({ type: 'integer', nullable: true, example: 1000, description: 'SMS_DAILY_BUDGET; null: none.' })
  dailyBudget!: number | null;

  @ApiProperty({ type: 'integer', nullable: true, example: 588, description: 'What is left of it until midnight UTC.' })
  budgetLeft!: number | null;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    example: 10,
    description: 'SMS_MIN_VERIFY_RATE; null: nothing pauses.',
  })
  minVerifyRate!: number | null;

  @ApiProperty({
    type: [GuardedCountryDto],
    description: 'Countries that codes went to in the last hour, and those that are paused.',
  })
  countries!: GuardedCountryDto[];
}

export class ResetMessageGuardDto {
  @ApiPropertyOptional({
    pattern: COUNTRY.source,
    example: 'DE',
    description: 'The country whose pause ends. Absent: all pauses end, and the budget of today begins anew.',
  })
  @ValidateIf((body: ResetMessageGuardDto) => body.country !== undefined)
  @Matches(COUNTRY, { message: 'country must be a two-letter country code such as DE' })
  country?: string;
}

export function toMessageGuardDto(
  { sentToday, budgetLeft, countries }: GuardState,
  { dailyBudget, minVerifyRate }: Config['sms'],
): MessageGuardDto {
  return {
    sentToday,
    dailyBudget,
    budgetLeft,
    minVerifyRate,
    countries: countries.map(({ country, sent, answered, pausedUntil }) => ({
      country,
      sent,
      verified: answered,
      pausedUntil: pausedUntil?.toISOString() ?? null,
    })),
  };
}
