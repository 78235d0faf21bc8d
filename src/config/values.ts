import { z } from 'zod';
import { readSigningKey, type OwnSigningKey } from './signing-key.js';

/** What the generated papers say about one configuration entry. */
export interface EntryMeta {
  /** The value that applies when the entry is absent, as it would be written in `.env`. */
  default?: string;
  /** The allowed range or list, in words. */
  allowed: string;
  /** Never printed, and also readable from a file named by `NAME_FILE`. */
  secret?: boolean;
  /** `NAME_FILE` may name several files; the value is what they hold, joined by BETWEEN_FILES. */
  severalFiles?: boolean;
}

/** Stands in the name of an entry that is a family (`OIDC_<NAME>_ISSUER`), for a name of the operator's choice. */
export const ANY_NAME = '<NAME>';

/** Stands in no environment variable and in no text file. */
export const BETWEEN_FILES = '\0';

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `30s`, `5m`, `24h`, `7d` → whole seconds; null where it is none of them. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  if (!match) return null;
  return Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}

/** What a URL is checked with further on can rely on its being one. */
export const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http(s) URL', abort: true });

/** A time span in seconds. */
export function duration(options: { default: string; min: string; max: string }) {
  const min = parseDuration(options.min) ?? 0;
  const max = parseDuration(options.max) ?? Number.MAX_SAFE_INTEGER;
  const schema = z.string().transform((text, ctx): number => {
    const seconds = parseDuration(text);
    if (seconds === null) {
      ctx.addIssue(`must be a time span such as 30s, 5m, 24h or 7d`);
      return z.NEVER;
    }
    if (seconds < min || seconds > max) ctx.addIssue(`must be between ${options.min} and ${options.max}`);
    return seconds;
  });
  return schema.prefault(options.default).meta({ default: options.default, allowed: `${options.min}–${options.max}` });
}

/** A time span in seconds, or null where it is switched `off`. */
export function durationOrOff(options: { default: string; min: string; max: string }) {
  const span = duration({ ...options, default: options.default === 'off' ? options.min : options.default });
  const schema = z.union([z.literal('off').transform(() => null), span]);
  return schema.prefault(options.default).meta({
    default: options.default,
    allowed: `${options.min}–${options.max}, or \`off\``,
  });
}

/** A whole number. */
export function integer(options: { default: number; min: number; max: number }) {
  const schema = z
    .string()
    .regex(/^-?\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(options.min).max(options.max));
  return schema.prefault(String(options.default)).meta({
    default: String(options.default),
    allowed: `${options.min}–${options.max}`,
  });
}

/** A whole number, or null where the limit is switched `off`. */
export function integerOrOff(options: { default: number | 'off'; min: number; max: number }) {
  const number = integer({ ...options, default: options.default === 'off' ? options.min : options.default });
  const schema = z.union([z.literal('off').transform(() => null), number]);
  return schema.prefault(String(options.default)).meta({
    default: String(options.default),
    allowed: `${options.min}–${options.max}, or \`off\``,
  });
}

export interface Rate {
  points: number;
  seconds: number;
}

function parseRate(text: string): Rate | null {
  const match = /^([1-9]\d{0,6})\/(\w+)$/.exec(text);
  const seconds = parseDuration(match?.[2] ?? '');
  return match && seconds ? { points: Number(match[1]), seconds } : null;
}

/** `30/1m` → 30 in 60 seconds, or null where the limit is switched `off`. */
export function rateOrOff(options: { default: string }) {
  const schema = z.string().transform((text, ctx): Rate | null => {
    if (text === 'off') return null;
    const rate = parseRate(text);
    if (!rate) ctx.addIssue('must be a rate such as 30/1m, or off');
    return rate;
  });
  return schema
    .prefault(options.default)
    .meta({ default: options.default, allowed: 'a rate such as `30/1m`, or `off`' });
}

/** Several rates at once (`5/1h,10/1d`), or an empty list where the limit is switched `off`. */
export function ratesOrOff(options: { default: string }) {
  const schema = z
    .string()
    .transform((text) => (text === 'off' ? [] : text.split(',').map((part) => part.trim())))
    .transform((parts, ctx) =>
      parts.map((part) => parseRate(part) ?? ctx.addIssue('must be rates such as 5/1h,10/1d, or off')),
    )
    .transform((rates) => rates.filter((rate): rate is Rate => typeof rate === 'object'));
  return schema.prefault(options.default).meta({
    default: options.default,
    allowed: 'rates such as `5/1h,10/1d`, or `off`',
  });
}

export function flag(options: { default: 'on' | 'off' }) {
  const schema = z
    .enum(['on', 'off', 'true', 'false'], 'must be on or off')
    .transform((text) => text === 'on' || text === 'true');
  return schema.prefault(options.default).meta({ default: options.default, allowed: '`on`, `off`' });
}

export function choice<const T extends readonly [string, ...string[]]>(options: { default: T[number]; of: T }) {
  return z
    .enum(options.of)
    .prefault(options.default)
    .meta({
      default: options.default,
      allowed: options.of.map((value) => `\`${value}\``).join(', '),
    });
}

/** One of a list, or null where the entry is absent. */
export function optionalChoice<const T extends readonly [string, ...string[]]>(options: { of: T }) {
  return z
    .enum(options.of)
    .nullable()
    .prefault(null)
    .meta({ allowed: options.of.map((value) => `\`${value}\``).join(', ') });
}

/** A comma-separated list without repetition. */
export function listOf<const T extends readonly [string, ...string[]]>(options: { default: string; of: T }) {
  const schema = z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(z.array(z.enum(options.of)).min(1))
    .refine((values) => new Set(values).size === values.length, 'names a value twice');
  return schema.prefault(options.default).meta({
    default: options.default,
    allowed: `one or more of ${options.of.map((value) => `\`${value}\``).join(', ')}`,
  });
}

/** A comma-separated list of free values; where the entry is absent its default, or else empty. */
export function freeList(options: {
  allowed: string;
  default?: string;
  secret?: boolean;
  each?: z.ZodType<string, string>;
}) {
  const schema = z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .pipe(z.array(options.each ?? z.string()));
  const absent = options.default ?? '';
  return schema.prefault(absent).meta({ default: absent, allowed: options.allowed, secret: options.secret ?? false });
}

/** Text that may be absent (null). */
export function text(options: { allowed: string; secret?: boolean; check?: z.ZodType<string, string> }) {
  return (options.check ?? z.string())
    .nullable()
    .prefault(null)
    .meta({ allowed: options.allowed, secret: options.secret ?? false });
}

/** Text that always has a value. */
export function textWithDefault(options: { default: string; allowed: string; check?: z.ZodType<string, string> }) {
  return (options.check ?? z.string()).prefault(options.default).meta({
    default: options.default,
    allowed: options.allowed,
  });
}

/** Keys for signatures, the first of which signs; empty where the entry is absent. */
export function signingKeys() {
  const schema = z.string().transform((text, ctx): OwnSigningKey[] =>
    text.split(BETWEEN_FILES).flatMap((part) => {
      const key = readSigningKey(part);
      if (typeof key !== 'string') return [key];
      ctx.addIssue(key);
      return [];
    }),
  );
  return schema.default([]).meta({
    allowed: 'a PEM or JWK (EC P-256, RSA ≥ 2048 bits, or `oct`), or a secret of ≥ 32 bytes for `HS256`',
    secret: true,
    severalFiles: true,
  });
}

/** One entry for every name that somebody puts in the place of ANY_NAME: what is set, by these names. */
export function family<T>(entry: z.ZodType<T, string | null | undefined>) {
  return z
    .record(z.string(), entry)
    .prefault({})
    .meta((entry.meta() ?? {}) as Partial<EntryMeta>);
}
