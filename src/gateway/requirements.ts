import { z } from 'zod';
import { Problem } from '../problems/problem.js';
import type { Acr } from '../tokens/assurance.js';
import type { AccessPrincipal } from '../tokens/principal.js';
import { ROLE_NAME } from '../users/role.js';

/** What a gateway demands of the user besides a live session. */
export interface Requirements {
  acr: Acr;
  /** Seconds since a factor was last proved. */
  maxAge: number | null;
  /** The user must have one role of each group. */
  roles: readonly (readonly string[])[];
}

const role = z.string().regex(ROLE_NAME);

function each<T>(one: z.ZodType<T, string>) {
  return z.union([one.transform((value) => [value]), z.array(one)]).default([]);
}

/** Strict: a requirement that is spelt wrongly (`max_age`) would otherwise silently not be asked for. */
const parameters = z.strictObject({
  acr: each(z.enum(['aal1', 'aal2'])),
  maxAge: each(
    z
      .string()
      .regex(/^\d{1,9}$/)
      .transform(Number),
  ),
  role: each(
    z
      .string()
      .transform((text) => text.split(','))
      .pipe(z.array(role)),
  ),
});

/**
 * Reads `acr`, `maxAge` and `role` (a comma is "or"). One that comes twice demands both: whoever gets something of his
 * own behind a gateway's parameters can only make it stricter.
 * @returns the names of those that make no sense, where there are any
 */
export function readRequirements(query: unknown): Requirements | { senseless: string[] } {
  const { data, error } = parameters.safeParse(query);
  if (error) return { senseless: error.issues.flatMap(namesOf) };
  return {
    acr: data.acr.includes('aal2') ? 'aal2' : 'aal1',
    maxAge: data.maxAge.length === 0 ? null : Math.min(...data.maxAge),
    roles: data.role,
  };
}

function namesOf(issue: z.core.$ZodIssue): string[] {
  return issue.code === 'unrecognized_keys' ? issue.keys : [String(issue.path[0])];
}

/** Why this user is not let through; null where he is. `now` in seconds. */
export function objectionTo(
  { roles, acr, authTime }: Pick<AccessPrincipal, 'roles' | 'acr' | 'authTime'>,
  required: Requirements,
  now: number,
): Problem | null {
  // First, because no further proof would help.
  const hasRoles = required.roles.every((group) => group.some((name) => roles.includes(name)));
  if (!hasRoles) return new Problem('role_required');

  const isStrong = required.acr === 'aal1' || acr === 'aal2';
  const isRecent = required.maxAge === null || now - authTime <= required.maxAge;
  if (isStrong && isRecent) return null;
  const acrValues = required.acr === 'aal1' ? acr : required.acr;
  const maxAge = required.maxAge === null ? {} : { maxAge: required.maxAge };
  return new Problem('insufficient_user_authentication', { stepUp: { acrValues, ...maxAge } });
}
