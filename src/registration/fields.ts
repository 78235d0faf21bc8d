import type { FieldError } from '../problems/problem.js';

/** What the operator asks of a registration, and what he accepts. */
export interface FieldRules {
  identityFields: readonly string[];
  requiredFields: readonly string[];
  optionalFields: readonly string[];
  profileFields: readonly string[];
}

/** What is wrong with the fields that are given: one that is not asked for, a required one that is missing, no identity. */
export function fieldFaults(
  given: Readonly<Record<string, string | undefined>>,
  profile: Readonly<Record<string, unknown>>,
  { identityFields, requiredFields, optionalFields, profileFields }: FieldRules,
): FieldError[] {
  const isGiven = (field: string) => given[field] !== undefined && given[field].trim() !== '';
  const unasked = Object.keys(given).filter(
    (field) => given[field] !== undefined && !requiredFields.includes(field) && !optionalFields.includes(field),
  );
  // What is wrong with the value of an own field of the operator's is found with the profile.
  const missing = requiredFields.filter((field) => !isGiven(field) && !Object.hasOwn(profile, field));
  const named = identityFields.filter((field) => requiredFields.includes(field) || optionalFields.includes(field));
  return [
    ...unasked.map((field) => ({ field, messages: ['is not asked for'] })),
    ...missing.map((field) => ({
      field: profileFields.includes(field) ? `profile.${field}` : field,
      messages: ['is required'],
    })),
    ...(named.some((field) => given[field] !== undefined) || missing.some((field) => named.includes(field))
      ? []
      : [{ field: named[0] ?? 'email', messages: [`is required${orAnother(named.slice(1))}`] }]),
  ];
}

function orAnother(fields: readonly string[]): string {
  return fields.length === 0 ? '' : `, unless ${fields.join(' or ')} is given`;
}
