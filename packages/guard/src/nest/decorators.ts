import { applyDecorators, createParamDecorator, SetMetadata, UseGuards, type ExecutionContext } from '@nestjs/common';
import type { Requirements } from '../requirements.js';
import type { SignedInUser } from '../verifier.js';
import { CountersignGuard, REQUIREMENTS, type GuardedRequest } from './countersign.guard.js';

/** Each brings the guard along: a requirement that nobody checks would leave the route open. */
const requires = (key: string, requirements: Requirements) =>
  applyDecorators(SetMetadata(key, requirements), UseGuards(CountersignGuard));

/** The session must be at least so strong: `aal2` is two distinct factors. */
export const RequiresAcr = (acr: 'aal1' | 'aal2') => requires(REQUIREMENTS.acr, { acr });

/** The user must have one of these roles. */
export const RequiresRole = (...roles: readonly [string, ...string[]]) =>
  requires(REQUIREMENTS.role, { roles: [roles] });

/** A factor must have been proved in the last `seconds`. */
export const RequiresFresh = (seconds: number) => requires(REQUIREMENTS.fresh, { maxAge: seconds });

/** Whom the guard let in. */
export const CurrentUser = createParamDecorator((_: unknown, context: ExecutionContext): SignedInUser => {
  const { countersignUser } = context.switchToHttp().getRequest<GuardedRequest>();
  if (!countersignUser) throw new Error('@CurrentUser() needs @UseGuards(CountersignGuard)');
  return countersignUser;
});
