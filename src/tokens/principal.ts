import type { Acr } from './assurance.js';

/** A signed-in user, as a verified access token of a live session tells. */
export interface AccessPrincipal {
  kind: 'access';
  userId: string;
  sessionId: string;
  /** Those of this moment, not those that the token was signed with. */
  roles: readonly string[];
  amr: readonly string[];
  acr: Acr;
  /** When a factor was last proved, in seconds since 1970. */
  authTime: number;
}

/** Somebody who proved enough to enroll a second factor, and nothing else. */
export interface EnrollmentPrincipal {
  kind: 'enrollment';
  userId: string;
  enrollmentId: string;
  /** Methods of which a device may be created. */
  methods: readonly string[];
}

export type Principal = AccessPrincipal | EnrollmentPrincipal;
