import { describe, expect, it } from 'vitest';
import { fieldFaults } from './fields.js';

const RULES = {
  identityFields: ['email', 'username'],
  requiredFields: [] as string[],
  optionalFields: ['email', 'username', 'password', 'firstName'],
  profileFields: ['company'],
};

describe('the fields of a registration', () => {
  it.each<[why: string, given: Record<string, string | undefined>, rules: Partial<typeof RULES>, faults: string[]]>([
    ['one identity', { email: 'a' }, {}, []],
    ['another identity', { username: 'a', firstName: 'A' }, {}, []],
    ['no identity', { firstName: 'A' }, {}, ['email: is required, unless username is given']],
    [
      'what identifies nobody here',
      { phoneNumber: '+1' },
      {},
      ['phoneNumber: is not asked for', 'email: is required, unless username is given'],
    ],
    ['a property that is undefined', { email: 'a', lastName: undefined }, {}, []],
    ['what is not asked for', { email: 'a', lastName: 'L' }, {}, ['lastName: is not asked for']],
    ['a required field', { email: 'a', lastName: 'L' }, { requiredFields: ['lastName'] }, []],
    ['a required field missing', { email: 'a' }, { requiredFields: ['lastName'] }, ['lastName: is required']],
    [
      'a required field blank',
      { email: 'a', lastName: ' ' },
      { requiredFields: ['lastName'] },
      ['lastName: is required'],
    ],
    ['a required identity missing', { username: 'a' }, { requiredFields: ['email'] }, ['email: is required']],
    ['an identity that cannot be given', {}, { optionalFields: ['username'] }, ['username: is required']],
    ['an own field missing', { email: 'a' }, { requiredFields: ['company'] }, ['profile.company: is required']],
  ])('%s', (_why, given, rules, faults) => {
    const found = fieldFaults(given, {}, { ...RULES, ...rules });
    expect(found.map(({ field, messages }) => `${field}: ${messages.join()}`)).toEqual(faults);
  });

  it('an own field that is given is not missing', () => {
    const rules = { ...RULES, requiredFields: ['company'] };
    expect(fieldFaults({ email: 'a' }, { company: 'Engines' }, rules)).toEqual([]);
  });
});
