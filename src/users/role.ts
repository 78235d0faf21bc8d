/** The name of a role: up to 32 lower-case letters, digits, `-` and `_`, beginning with a letter. `admin` is the only one with a meaning here. */
export const ROLE_NAME = /^[a-z][a-z0-9_-]{0,31}$/;

/** The same in words, for whoever gave another one. */
export const ROLE_RULE = 'must be 1 to 32 lower-case letters, digits, dashes or underscores, beginning with a letter';

/** Of one user. */
export const MAX_ROLES = 20;
