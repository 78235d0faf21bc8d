import type { INestApplicationContext } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { isISO8601, isUUID, validate } from 'class-validator';
import { InvalidArgumentError } from 'commander';
import { getEntityManagerToken } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import type { By } from '../audit/audit.service.js';
import { parseDuration } from '../config/values.js';
import { firstRow } from '../database/sql.js';
import { Problem } from '../problems/problem.js';
import { RULE_METHODS, type RuleMethod } from '../two-factor/policy.js';
import { parseIdentifier } from '../users/identity.js';
import { User } from '../users/user.entity.js';
import { Users } from '../users/users.service.js';
import { UsageError } from './answer.js';

/** Who acts, for the audit log. */
export const BY_CLI = { actor: { kind: 'cli' } } as const satisfies By;

export function databaseOf(app: INestApplicationContext): EntityManager {
  return app.get<EntityManager>(getEntityManagerToken());
}

/** Whose id, e-mail address, phone number or username it is. An id wins: nobody may take another's as his name. */
export async function findUserId(app: INestApplicationContext, named: string): Promise<string> {
  if (isUUID(named) && (await databaseOf(app).existsBy(User, { id: named }))) return named.toLowerCase();
  const identifier = parseIdentifier(named);
  const user = identifier && (await app.get(Users).findByIdentifier(identifier));
  if (user) return user.id;
  throw new Problem('not_found', {
    detail: `No user has the id, e-mail address, phone number or username "${named}".`,
  });
}

/** The options as the query of the API's own list, so that both refuse the same. */
export async function asQuery<T extends object>(type: new () => T, options: object): Promise<T> {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const query = plainToInstance(type, given);
  const faults = (await validate(query)).flatMap(({ constraints = {} }) => Object.values(constraints));
  if (faults.length > 0) throw new UsageError(`${faults.join('; ')}.`);
  return query;
}

/** A time with its zone, or a span from now on. The clock of the database decides what is in the future. */
export type Deadline = { at: Date } | { inSeconds: number };

export function readDeadline(text: string): Deadline {
  const inSeconds = parseDuration(text);
  if (inSeconds !== null) return { inSeconds };
  const complete = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(text);
  // Date makes the second of March of the thirtieth of February.
  if (complete && isISO8601(text, { strict: true })) return { at: new Date(text) };
  throw new InvalidArgumentError('It is a time with its zone (2027-03-31T22:00Z) or a span (14d).');
}

export async function momentOf(db: EntityManager, deadline: Deadline | undefined): Promise<Date | null> {
  if (deadline === undefined) return null;
  if ('at' in deadline) return deadline.at;
  const row = await firstRow<{ at: Date }>(db, 'SELECT now() + make_interval(secs => $1) AS at', [deadline.inSeconds]);
  return row?.at ?? null;
}

export function readMethods(text: string): RuleMethod[] {
  return text.split(',').map((part) => {
    const method = RULE_METHODS.find((known) => known === part.trim());
    if (method) return method;
    throw new InvalidArgumentError(`It is one or more of ${RULE_METHODS.join(', ')}, with commas in between.`);
  });
}

/** For an option that may be given more than once. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

export function readLimit(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 200) return Number(text);
  throw new InvalidArgumentError('It is a number from 1 to 200.');
}
