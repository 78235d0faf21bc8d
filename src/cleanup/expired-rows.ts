/** Rows that decide nothing any more. A day longer than they are good for: until then they explain a refusal. */
export interface ExpiredRows {
  table: string;
  /** The primary key, which the table is walked by. */
  key: string;
  keyType: 'uuid' | 'bytea';
  expired: string;
}

export const expiredRows: readonly ExpiredRows[] = [
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
];
