import type { Config } from '../config/config.js';

/** Rows that decide nothing any more. A day longer than they are good for: until then they explain a refusal. */
export interface ExpiredRows {
  table: string;
  /** The primary key, which the table is walked by. */
  key: string;
  keyType: 'uuid' | 'bytea' | 'bigint';
  expired: string;
}

const ALWAYS: readonly ExpiredRows[] = [
  { table: 'challenges', key: 'id', keyType: 'uuid', expired: `t.expires_at < now() - interval '1 day'` },
  { table: 'enrollments', key: 'id', keyType: 'uuid', expired: `t.expires_at < now() - interval '1 day'` },
  { table: 'links', key: 'id', keyType: 'uuid', expired: `t.expires_at < now() - interval '1 day'` },
  { table: 'trusted_browsers', key: 'id', keyType: 'uuid', expired: `t.expires_at < now() - interval '1 day'` },
  {
    table: 'sessions',
    key: 'id',
    keyType: 'uuid',
    expired: `least(t.expires_at, t.idle_expires_at, t.ended_at) < now() - interval '1 day'`,
  },
  {
    table: 'otp_devices',
    key: 'id',
    keyType: 'uuid',
    expired: `t.confirmed_at IS NULL AND t.expires_at < now() - interval '1 day'`,
  },
  // Failures are forgotten after half a day of quiet, and no pause is longer than a quarter of an hour.
  { table: 'failure_counters', key: 'key', keyType: 'bytea', expired: `t.last_failure_at < now() - interval '1 day'` },
  // One for each address that asked: somebody who owns millions of them must not fill the disk.
  { table: 'address_windows', key: 'key', keyType: 'bytea', expired: 't.ends_at < now()' },
  { table: 'refused_addresses', key: 'key', keyType: 'bytea', expired: 't.until <= now()' },
  // A country is judged by the codes of the last hour.
  { table: 'sent_text_codes', key: 'id', keyType: 'bigint', expired: `t.sent_at <= now() - interval '1 hour'` },
];

/** Every table that is walked, in this order. */
export function expiredRowsOf({ limits, sms, codes }: Config): readonly ExpiredRows[] {
  const spans = [...limits.sendPerDestination, ...(sms.perPrefix ? [sms.perPrefix] : [])].map(({ seconds }) => seconds);
  const longest = Math.max(codes.resendCooldownSeconds, ...spans);
  const expired = `t.last_sent_at < now() - make_interval(secs => ${longest})`;
  return [...ALWAYS, { table: 'destination_sends', key: 'key', keyType: 'bytea', expired }];
}
