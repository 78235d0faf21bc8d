import type { FieldError } from '../problems/problem.js';

/** Code points of one field of the operator's. */
const MAX_LENGTH = 256;

export interface Profile {
  firstName: string;
  lastName: string;
  locale: string | null;
  profile: Readonly<Record<string, string>>;
}

/** What of a profile is given; the rest stays as it is. A field of the operator's that is null is taken away. */
export interface ProfileChanges {
  firstName?: string;
  lastName?: string;
  locale?: string | null;
  profile?: Readonly<Record<string, unknown>>;
}

/** What is wrong with changes: unknown fields, values that are no short texts, required ones left empty. */
export function profileFaults(
  { firstName, lastName, profile = {} }: ProfileChanges,
  { profileFields, requiredFields }: { profileFields: readonly string[]; requiredFields: readonly string[] },
): FieldError[] {
  const emptied = Object.entries({ firstName, lastName }).filter(([field, value]) => {
    return value?.trim() === '' && requiredFields.includes(field);
  });
  return [
    ...emptied.map(([field]) => ({ field, messages: ['is required'] })),
    ...Object.entries(profile).flatMap(([name, value]) => {
      const fault = profileFields.includes(name)
        ? valueFault(value, requiredFields.includes(name))
        : 'is not asked for';
      return fault === null ? [] : [{ field: `profile.${name}`, messages: [fault] }];
    }),
  ];
}

/** A name as it is stored: in NFC, as it is searched, however the keyboard composed its letters. */
export function storedText(text: string): string {
  return text.normalize('NFC').trim();
}

/** The profile after changes, and the names of what is another now. */
export function changedProfile(before: Profile, changes: ProfileChanges): { profile: Profile; fields: string[] } {
  const profile: Profile = {
    firstName: changes.firstName === undefined ? before.firstName : storedText(changes.firstName),
    lastName: changes.lastName === undefined ? before.lastName : storedText(changes.lastName),
    locale: changes.locale === undefined ? before.locale : changes.locale,
    profile: fieldsAfter(before.profile, changes.profile ?? {}),
  };
  const names = (['firstName', 'lastName', 'locale'] as const).filter((field) => profile[field] !== before[field]);
  const own = Object.keys({ ...before.profile, ...profile.profile }).filter((name) => {
    return before.profile[name] !== profile.profile[name];
  });
  return { profile, fields: [...names, ...own.map((name) => `profile.${name}`)] };
}

/** Fields of the operator's after changes; what is null is not there. */
export function fieldsAfter(before: Readonly<Record<string, string>>, changes: Readonly<Record<string, unknown>>) {
  const entries = Object.entries({ ...before, ...changes }).filter((entry): entry is [string, string] => {
    return typeof entry[1] === 'string';
  });
  return Object.fromEntries(entries.map(([name, value]) => [name, storedText(value)]));
}

function valueFault(value: unknown, required: boolean): string | null {
  if (value === null) return required ? 'is required' : null;
  if (typeof value !== 'string') return 'must be a string';
  if (required && value.trim() === '') return 'is required';
  return [...value.slice(0, 2 * MAX_LENGTH + 1)].length > MAX_LENGTH
    ? `must have at most ${MAX_LENGTH} characters`
    : null;
}
