import { describe, expect, it } from 'vitest';
import { foresee, type Prospect, type Situation } from './foresight.js';
import type { DeviceFact, Policy } from './policy.js';

const OPTIONAL: Policy = { trusted: ['none', 'email', 'totp'], fallback: 'email' };
const DEMANDED: Policy = { trusted: ['email', 'totp'], fallback: 'email' };
const APP_ONLY: Policy = { trusted: ['totp'], fallback: 'email' };
const APP_WITHOUT_BOOTSTRAP: Policy = { trusted: ['totp'], fallback: 'none' };
const MAIL_ONLY: Policy = { trusted: ['email'], fallback: 'email' };

const app: DeviceFact = { id: 'app', type: 'totp', disabled: false };
const brokenApp: DeviceFact = { id: 'broken app', type: 'totp', disabled: true };
const mail: DeviceFact = { id: 'mail', type: 'email', disabled: false };
const sheet: DeviceFact = { id: 'sheet', type: 'recovery_codes', disabled: false };

/** Somebody with a mailbox and a password, unless a row says something else. */
const somebody = (policy: Policy, facts: Partial<Situation>): Situation => ({
  policy,
  required: false,
  preferred: null,
  devices: [],
  addresses: ['email'],
  hasPassword: true,
  hasProvider: false,
  enrollable: ['email', 'totp'],
  ...facts,
});

const BY_PROVIDER: Partial<Situation> = { hasPassword: false, hasProvider: true, addresses: [] };

type Row = [who: string, policy: Policy, facts: Partial<Situation>, prospect: Prospect];

describe('how the next sign-in would go', () => {
  it.each<Row>([
    ['nobody demands anything', OPTIONAL, { preferred: 'none' }, 'in'],
    ['a mailbox is enough', DEMANDED, {}, 'in'],
    ['an app is demanded, and there is one', APP_ONLY, { devices: [app] }, 'in'],
    ['an app is demanded, and a mailbox opens its enrollment', APP_ONLY, {}, 'enrollment'],
    ['a confirmed mailbox is no app', APP_ONLY, { devices: [mail] }, 'enrollment'],
    ['no mailbox and no app', APP_ONLY, { addresses: [] }, 'no_way_in'],
    ['no mailbox but an app', APP_ONLY, { addresses: [], devices: [app] }, 'in'],
    ['a phone opens an enrollment by a code instead of the password', APP_ONLY, { addresses: ['sms'] }, 'enrollment'],
    ['the password leads nowhere, a code does', APP_WITHOUT_BOOTSTRAP, {}, 'enrollment'],
    ['without a fallback and without an address', APP_WITHOUT_BOOTSTRAP, { addresses: [] }, 'no_way_in'],
    ['the app is disabled', APP_ONLY, { devices: [brokenApp] }, 'no_way_in'],
    ['one of two apps is disabled', APP_ONLY, { devices: [brokenApp, app] }, 'in'],
    [
      'the app is disabled, recovery codes are left: nothing to rely on',
      APP_ONLY,
      { devices: [brokenApp, sheet] },
      'no_way_in',
    ],
    ['no password: a code comes first, so the mailbox is used up', MAIL_ONLY, { hasPassword: false }, 'no_way_in'],
    ['no password, an app', APP_ONLY, { hasPassword: false, devices: [app] }, 'in'],
    ['no password, and an app is demanded', APP_ONLY, { hasPassword: false }, 'enrollment'],
    ['a provider alone, and an app is demanded: his word opens its enrollment', APP_ONLY, BY_PROVIDER, 'enrollment'],
    ['a provider alone, and nobody demands anything', OPTIONAL, { ...BY_PROVIDER, preferred: 'none' }, 'in'],
    ['a provider alone, and an app', APP_ONLY, { ...BY_PROVIDER, devices: [app] }, 'in'],
    ['a provider alone, and only a mailbox would do', MAIL_ONLY, { ...BY_PROVIDER, enrollable: ['totp'] }, 'no_way_in'],
    ['nothing at all to sign in with', OPTIONAL, { hasPassword: false, addresses: [] }, 'no_way_in'],
    ['his own wish counts too', OPTIONAL, { required: true, addresses: [] }, 'no_way_in'],
  ])('%s', (_, policy, facts, prospect) => {
    expect(foresee(somebody(policy, facts))).toBe(prospect);
  });
});
