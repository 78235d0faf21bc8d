/** The name of a role: up to 32 lower-case letters, digits, `-` and `_`, beginning with a letter. `admin` is the only one with a meaning here. */
export const ROLE_NAME = /^[a-z][a-z0-9_-]{0,31}$/;
