import type { SignedInUser } from './verifier.js';

/** What a route demands besides a valid token. */
export interface Requirements {
  /** The least assurance of the session. */
  acr?: 'aal1' | 'aal2';
  /** Groups of roles: the user must have one of each. */
  roles?: readonly (readonly string[])[];
  /** Seconds since a factor was last proved, at most. */
  maxAge?: number;
}

export type Objection =
  | { code: 'role_required' }
  | { code: 'insufficient_user_authentication'; acrValues: string; maxAge: number | undefined };

/** Why this user may not; null where he may. `now` in seconds. */
export function objectionTo(user: SignedInUser, required: Requirements, now: number): Objection | null {
  // First, because no further proof would help.
  const hasRoles = (required.roles ?? []).every((group) => group.some((role) => user.roles.includes(role)));
  if (!hasRoles) return { code: 'role_required' };

  const isStrong = required.acr !== 'aal2' || user.acr === 'aal2';
  const isRecent = required.maxAge === undefined || now - user.authTime <= required.maxAge;
  if (isStrong && isRecent) return null;
  return {
    code: 'insufficient_user_authentication',
    acrValues: required.acr === 'aal2' ? 'aal2' : user.acr,
    maxAge: required.maxAge,
  };
}

/** Everything that any of them demands. */
export function combined(all: readonly Requirements[]): Requirements {
  const maxAges = all.flatMap(({ maxAge }) => (maxAge === undefined ? [] : [maxAge]));
  return {
    acr: all.some(({ acr }) => acr === 'aal2') ? 'aal2' : 'aal1',
    roles: all.flatMap(({ roles = [] }) => roles),
    ...(maxAges.length === 0 ? {} : { maxAge: Math.min(...maxAges) }),
  };
}
