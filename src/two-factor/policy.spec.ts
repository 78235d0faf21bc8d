import { describe, expect, it } from 'vitest';
import {
  allowedDevices,
  decideAfterFirstFactor,
  decideAfterSecondFactor,
  decidePreference,
  decideRequirement,
  isLastDevice,
  requiredBy,
  type AfterFirstFactor,
  type AfterSecondFactor,
  type DeviceFact,
  type Facts,
  type MethodType,
  type Policy,
  type PreferenceVerdict,
} from './policy.js';

/** The default: an e-mailed code, or an authenticator app once there is one. */
const EMAIL_OR_TOTP: Policy = { trusted: ['email', 'sms', 'totp'], fallback: 'email' };
/** An authenticator app is required; the e-mailed code only opens its enrollment. */
const TOTP_REQUIRED: Policy = { trusted: ['totp'], fallback: 'email' };
/** No second factor unless the user wants one. */
const OPTIONAL: Policy = { trusted: ['none', 'email', 'totp'], fallback: 'none' };

const app: DeviceFact = { id: 'app', type: 'totp', disabled: false };
const otherApp: DeviceFact = { id: 'other app', type: 'totp', disabled: false };
const disabledApp: DeviceFact = { id: 'disabled app', type: 'totp', disabled: true };
const mail: DeviceFact = { id: 'mail', type: 'email', disabled: false };
const phone: DeviceFact = { id: 'phone', type: 'sms', disabled: false };
const sheet: DeviceFact = { id: 'sheet', type: 'recovery_codes', disabled: false };

type UserFacts = Partial<Omit<Facts, 'policy'>>;

const ENROLLABLE: readonly MethodType[] = ['email', 'totp'];

/** A new user with an e-mail address, unless a row says something else. */
function user(policy: Policy, facts: UserFacts): Facts {
  const enrollable = ENROLLABLE;
  return { policy, required: false, preferred: null, devices: [], addresses: ['email'], enrollable, ...facts };
}

const IN = { next: 'authenticated' } as const;
const ask = ({ id }: DeviceFact) => ({ next: 'second_factor_required', ask: { deviceId: id } }) as const;
const ASK_THE_ADDRESS = { next: 'second_factor_required', ask: { address: 'email' } } as const;
const NOT_CONFIGURED = { next: 'refused', reason: 'two_factor_not_configured' } as const;
const enroll = (...methods: MethodType[]) => ({ next: 'enrollment_required', methods }) as const;
const REFUSED = { next: 'refused' } as const;

const ALLOWED = { allowed: true } as const;
const no = (reason: 'method_not_allowed' | 'two_factor_required_by_policy' | 'two_factor_not_configured') =>
  ({ allowed: false, reason }) as const;

type FirstFactorRow = [who: string, facts: UserFacts, decision: AfterFirstFactor];
type SecondFactorRow = [proved: MethodType, who: string, facts: UserFacts, decision: AfterSecondFactor];
type PreferenceRow = [method: MethodType | 'none' | null, who: string, facts: UserFacts, verdict: PreferenceVerdict];
type RequirementRow = [required: boolean, who: string, facts: UserFacts, verdict: PreferenceVerdict];
type RemovalRow = [device: string, who: string, facts: UserFacts, isLast: boolean];

describe('e-mail code with optional TOTP: TRUSTED=email,sms,totp FALLBACK=email', () => {
  const policy = EMAIL_OR_TOTP;

  describe('the first factor was right', () => {
    it.each<FirstFactorRow>([
      ['a new user', {}, ASK_THE_ADDRESS],
      ['has an e-mail device', { devices: [mail] }, ask(mail)],
      ['has an app', { devices: [app] }, ask(app)],
      ['has both: the stronger one', { devices: [mail, app] }, ask(app)],
      ['has a phone and a mailbox: the stronger one', { devices: [mail, phone] }, ask(phone)],
      ['has two apps: the one used last', { devices: [otherApp, app] }, ask(otherApp)],
      ['has both and prefers e-mail', { devices: [mail, app], preferred: 'email' }, ask(mail)],
      ['has both and prefers TOTP', { devices: [mail, app], preferred: 'totp' }, ask(app)],
      ['prefers TOTP without having it', { devices: [mail], preferred: 'totp' }, ask(mail)],
      ['prefers e-mail, has only an app', { devices: [app], preferred: 'email' }, ask(app)],
      ['prefers none, from a policy of the past', { devices: [app], preferred: 'none' }, ask(app)],
      ['prefers none and has no device', { preferred: 'none' }, ASK_THE_ADDRESS],
      ['has opted in', { required: true }, ASK_THE_ADDRESS],
      ['has opted in and has an app', { required: true, devices: [app] }, ask(app)],
      ['has no address and no device', { addresses: [] }, NOT_CONFIGURED],
      ['has no address but an app', { addresses: [], devices: [app] }, ask(app)],
      ['has a disabled app and a mailbox', { devices: [disabledApp, mail] }, ask(mail)],
      ['prefers TOTP, but the app is disabled', { devices: [disabledApp, mail], preferred: 'totp' }, ask(mail)],
      ['has a disabled app and one that works', { devices: [disabledApp, app] }, ask(app)],
      ['has only a disabled app: never the fallback', { devices: [disabledApp] }, ask(disabledApp)],
    ])('%s', (_who, facts, decision) => {
      expect(decideAfterFirstFactor(user(policy, facts))).toEqual(decision);
    });
  });

  describe('the second factor was right', () => {
    it.each<SecondFactorRow>([
      ['email', 'a new user', {}, IN],
      ['email', 'also has an app', { devices: [mail, app] }, IN],
      ['totp', 'has an app', { devices: [app] }, IN],
      ['sms', 'has a phone', { devices: [phone] }, IN],
      ['recovery_codes', 'nobody trusts them here', { devices: [app] }, REFUSED],
    ])('%s: %s', (proved, _who, facts, decision) => {
      expect(decideAfterSecondFactor(user(policy, facts), proved)).toEqual(decision);
    });
  });

  describe('the user wants to prefer', () => {
    it.each<PreferenceRow>([
      ['totp', 'has an app', { devices: [app] }, ALLOWED],
      ['totp', 'has none', { devices: [mail] }, no('method_not_allowed')],
      ['email', 'has a mailbox', { devices: [mail, app] }, ALLOWED],
      ['email', 'has only an address, which the fallback asks', { devices: [app] }, ALLOWED],
      ['email', 'has neither', { devices: [app], addresses: [] }, no('method_not_allowed')],
      ['sms', 'has no phone', { devices: [app] }, no('method_not_allowed')],
      ['none', 'the policy demands one', { devices: [app] }, no('method_not_allowed')],
      ['recovery_codes', 'nobody trusts them here', { devices: [app] }, no('method_not_allowed')],
      [null, 'goes back to what the policy says', { preferred: 'email', devices: [mail] }, ALLOWED],
    ])('%s: %s', (method, _who, facts, verdict) => {
      expect(decidePreference(user(policy, facts), method)).toEqual(verdict);
    });
  });

  describe('the user sets his own requirement to', () => {
    it.each<RequirementRow>([
      [true, 'has an address', {}, ALLOWED],
      [true, 'has an app', { devices: [app], addresses: [] }, ALLOWED],
      [true, 'has nothing', { addresses: [] }, no('two_factor_not_configured')],
      [false, 'has opted in, but the policy demands one', { required: true }, no('two_factor_required_by_policy')],
      [false, 'never opted in', {}, no('two_factor_required_by_policy')],
    ])('%s: %s', (required, _who, facts, verdict) => {
      expect(decideRequirement(user(policy, facts), required)).toEqual(verdict);
    });
  });

  describe('is it the last device?', () => {
    it.each<RemovalRow>([
      [app.id, 'the only one', { devices: [app] }, true],
      [mail.id, 'the only one', { devices: [mail] }, true],
      [app.id, 'there is a mailbox', { devices: [app, mail] }, false],
      [mail.id, 'there is an app', { devices: [app, mail] }, false],
      [mail.id, 'the other one is disabled', { devices: [mail, disabledApp] }, true],
      [disabledApp.id, 'there is one that works', { devices: [mail, disabledApp] }, false],
      [disabledApp.id, 'the only one', { devices: [disabledApp] }, true],
      [otherApp.id, 'a pending one never counts', { devices: [app] }, false],
    ])('%s: %s', (device, _who, facts, isLast) => {
      expect(isLastDevice(user(policy, facts), device)).toBe(isLast);
    });
  });

  it('is demanded by the policy, whatever the user wishes', () => {
    expect(requiredBy(user(policy, {}))).toBe('policy');
    expect(requiredBy(user(policy, { required: true, preferred: 'none' }))).toBe('policy');
  });
});

describe('TOTP required: TRUSTED=totp FALLBACK=email', () => {
  const policy = TOTP_REQUIRED;

  describe('the first factor was right', () => {
    it.each<FirstFactorRow>([
      ['a new user', {}, ASK_THE_ADDRESS],
      ['has an e-mail device, which is not trusted', { devices: [mail] }, ASK_THE_ADDRESS],
      ['has an app', { devices: [app] }, ask(app)],
      ['has both: never the mailbox', { devices: [mail, app] }, ask(app)],
      ['prefers e-mail, from a policy of the past', { devices: [mail, app], preferred: 'email' }, ask(app)],
      ['prefers none, from a policy of the past', { preferred: 'none' }, ASK_THE_ADDRESS],
      ['has opted in', { required: true }, ASK_THE_ADDRESS],
      ['has no address and no device', { addresses: [] }, NOT_CONFIGURED],
      ['has no address and only a phone, which is not trusted', { addresses: [], devices: [phone] }, NOT_CONFIGURED],
      ['has a disabled app: never the mailbox', { devices: [disabledApp, mail] }, ask(disabledApp)],
    ])('%s', (_who, facts, decision) => {
      expect(decideAfterFirstFactor(user(policy, facts))).toEqual(decision);
    });

    it('without a fallback nobody can enroll, so nobody without an app comes in', () => {
      const withoutFallback: Policy = { ...policy, fallback: 'none' };
      expect(decideAfterFirstFactor(user(withoutFallback, {}))).toEqual(NOT_CONFIGURED);
      expect(decideAfterFirstFactor(user(withoutFallback, { devices: [app] }))).toEqual(ask(app));
    });
  });

  describe('the second factor was right', () => {
    it.each<SecondFactorRow>([
      ['totp', 'has an app', { devices: [app] }, IN],
      ['email', 'a new user', {}, enroll('totp')],
      ['email', 'has an e-mail device', { devices: [mail] }, enroll('totp')],
      ['email', 'has an app meanwhile: mail must not replace it', { devices: [mail, app] }, REFUSED],
      ['email', 'has a disabled app: nor must it then', { devices: [mail, disabledApp] }, REFUSED],
      ['sms', 'not trusted and not the fallback', { devices: [phone] }, REFUSED],
      ['recovery_codes', 'not trusted and not the fallback', {}, REFUSED],
    ])('%s: %s', (proved, _who, facts, decision) => {
      expect(decideAfterSecondFactor(user(policy, facts), proved)).toEqual(decision);
    });

    it('only methods that can be enrolled and are trusted are offered', () => {
      const trusting: Policy = { trusted: ['sms', 'totp'], fallback: 'email' };
      expect(decideAfterSecondFactor(user(trusting, {}), 'email')).toEqual(enroll('totp'));
      expect(decideAfterSecondFactor(user(trusting, { enrollable: ['email', 'sms', 'totp'] }), 'email')).toEqual(
        enroll('sms', 'totp'),
      );
    });
  });

  describe('the user wants to prefer', () => {
    it.each<PreferenceRow>([
      ['totp', 'has an app', { devices: [app] }, ALLOWED],
      ['totp', 'has none', {}, no('method_not_allowed')],
      ['email', 'has a mailbox, which is not trusted', { devices: [mail, app] }, no('method_not_allowed')],
      ['none', 'the policy demands one', { devices: [app] }, no('method_not_allowed')],
      [null, 'goes back to what the policy says', { preferred: 'totp', devices: [app] }, ALLOWED],
    ])('%s: %s', (method, _who, facts, verdict) => {
      expect(decidePreference(user(policy, facts), method)).toEqual(verdict);
    });
  });

  describe('the user sets his own requirement to', () => {
    it.each<RequirementRow>([
      [true, 'has an app', { devices: [app] }, ALLOWED],
      [true, 'has only an address', {}, ALLOWED],
      [true, 'has nothing', { addresses: [] }, no('two_factor_not_configured')],
      [false, 'the policy demands one', { required: true, devices: [app] }, no('two_factor_required_by_policy')],
    ])('%s: %s', (required, _who, facts, verdict) => {
      expect(decideRequirement(user(policy, facts), required)).toEqual(verdict);
    });
  });

  describe('is it the last device?', () => {
    it.each<RemovalRow>([
      [app.id, 'the only one', { devices: [app] }, true],
      [app.id, 'a mailbox does not replace it', { devices: [app, mail] }, true],
      [mail.id, 'nothing hangs on it', { devices: [app, mail] }, false],
      [app.id, 'there is another app', { devices: [app, otherApp] }, false],
    ])('%s: %s', (device, _who, facts, isLast) => {
      expect(isLastDevice(user(policy, facts), device)).toBe(isLast);
    });
  });
});

describe('no second factor by default: TRUSTED=none,email,totp FALLBACK=none', () => {
  const policy = OPTIONAL;

  describe('the first factor was right', () => {
    it.each<FirstFactorRow>([
      ['a new user', {}, IN],
      ['has no address', { addresses: [] }, IN],
      ['has an app and no wish', { devices: [app] }, IN],
      ['has an app and prefers it', { devices: [app], preferred: 'totp' }, ask(app)],
      ['has both and prefers e-mail', { devices: [mail, app], preferred: 'email' }, ask(mail)],
      ['has an app and prefers none', { devices: [app], preferred: 'none' }, IN],
      ['prefers TOTP without having it', { preferred: 'totp' }, IN],
      ['prefers TOTP, has only a mailbox', { devices: [mail], preferred: 'totp' }, ask(mail)],
      ['has opted in and has an app', { devices: [app], required: true }, ask(app)],
      ['has opted in and has both', { devices: [mail, app], required: true }, ask(app)],
      ['has opted in, although he prefers none', { devices: [app], required: true, preferred: 'none' }, ask(app)],
      ['has opted in and has nothing', { required: true }, NOT_CONFIGURED],
      ['prefers TOTP, but the app is disabled', { devices: [disabledApp], preferred: 'totp' }, ask(disabledApp)],
      ['has only a phone, which is not trusted', { devices: [phone], preferred: 'sms' }, IN],
    ])('%s', (_who, facts, decision) => {
      expect(decideAfterFirstFactor(user(policy, facts))).toEqual(decision);
    });

    it('with the fallback email everybody is asked who has an address and does not prefer none', () => {
      const withFallback: Policy = { ...policy, fallback: 'email' };
      expect(decideAfterFirstFactor(user(withFallback, {}))).toEqual(ASK_THE_ADDRESS);
      expect(decideAfterFirstFactor(user(withFallback, { addresses: [] }))).toEqual(IN);
      expect(decideAfterFirstFactor(user(withFallback, { preferred: 'none' }))).toEqual(IN);
      expect(decideAfterFirstFactor(user(withFallback, { preferred: 'none', required: true }))).toEqual(
        ASK_THE_ADDRESS,
      );
    });
  });

  describe('the second factor was right', () => {
    it.each<SecondFactorRow>([
      ['totp', 'has an app', { devices: [app] }, IN],
      ['email', 'has a mailbox', { devices: [mail] }, IN],
      ['sms', 'not trusted here', { devices: [phone] }, REFUSED],
    ])('%s: %s', (proved, _who, facts, decision) => {
      expect(decideAfterSecondFactor(user(policy, facts), proved)).toEqual(decision);
    });
  });

  describe('the user wants to prefer', () => {
    it.each<PreferenceRow>([
      ['none', 'nobody demands one', { devices: [app] }, ALLOWED],
      ['none', 'he demands one himself', { devices: [app], required: true }, no('method_not_allowed')],
      ['totp', 'has an app', { devices: [app] }, ALLOWED],
      ['totp', 'has none', {}, no('method_not_allowed')],
      ['email', 'has only an address, and there is no fallback', {}, no('method_not_allowed')],
      ['sms', 'not trusted here', { devices: [phone] }, no('method_not_allowed')],
      [null, 'goes back to what the policy says', { preferred: 'none' }, ALLOWED],
    ])('%s: %s', (method, _who, facts, verdict) => {
      expect(decidePreference(user(policy, facts), method)).toEqual(verdict);
    });
  });

  describe('the user sets his own requirement to', () => {
    it.each<RequirementRow>([
      [true, 'has an app', { devices: [app] }, ALLOWED],
      [true, 'has no device and would lock himself out', {}, no('two_factor_not_configured')],
      [true, 'has only a disabled one', { devices: [disabledApp] }, no('two_factor_not_configured')],
      [true, 'has only a phone, which is not trusted', { devices: [phone] }, no('two_factor_not_configured')],
      [false, 'has opted in', { devices: [app], required: true }, ALLOWED],
      [false, 'never opted in', {}, ALLOWED],
    ])('%s: %s', (required, _who, facts, verdict) => {
      expect(decideRequirement(user(policy, facts), required)).toEqual(verdict);
    });
  });

  describe('is it the last device?', () => {
    it.each<RemovalRow>([
      [app.id, 'nobody demands one', { devices: [app] }, false],
      [app.id, 'he demands one himself', { devices: [app], required: true }, true],
      [app.id, 'he demands one himself and has a mailbox', { devices: [app, mail], required: true }, false],
    ])('%s: %s', (device, _who, facts, isLast) => {
      expect(isLastDevice(user(policy, facts), device)).toBe(isLast);
    });
  });

  it('is demanded by the user who has opted in, and by nobody else', () => {
    expect(requiredBy(user(policy, {}))).toBeNull();
    expect(requiredBy(user(policy, { preferred: 'totp', devices: [app] }))).toBeNull();
    expect(requiredBy(user(policy, { required: true }))).toBe('user');
  });
});

describe('the devices that a sign-in offers', () => {
  it('are those of trusted methods, the preferred one in front, disabled ones last', () => {
    const devices = [disabledApp, mail, phone, app];
    const offered = (policy: Policy, preferred: Facts['preferred']) =>
      allowedDevices({ policy, preferred, devices }).map(({ id }) => id);

    expect(offered(EMAIL_OR_TOTP, null)).toEqual(['app', 'phone', 'mail', 'disabled app']);
    expect(offered(EMAIL_OR_TOTP, 'email')).toEqual(['mail', 'app', 'phone', 'disabled app']);
    expect(offered(TOTP_REQUIRED, 'email')).toEqual(['app', 'disabled app']);
    expect(offered(OPTIONAL, 'none')).toEqual(['app', 'mail', 'disabled app']);
  });
});

const POLICIES = {
  EMAIL_OR_TOTP,
  TOTP_REQUIRED,
  OPTIONAL,
  TEXT_OR_APP: { trusted: ['sms', 'totp'], fallback: 'email' },
} as const satisfies Record<string, Policy>;
type PolicyName = keyof typeof POLICIES;

describe('the first factor was the word of a provider of identities', () => {
  it.each<[policy: Policy, who: string, facts: UserFacts, decision: AfterFirstFactor]>([
    [EMAIL_OR_TOTP, 'has an app', { devices: [app] }, ask(app)],
    [EMAIL_OR_TOTP, 'has an address', {}, ASK_THE_ADDRESS],
    [EMAIL_OR_TOTP, 'has neither: one is enrolled', { addresses: [] }, enroll('email', 'totp')],
    [TOTP_REQUIRED, 'has no address', { addresses: [] }, enroll('totp')],
    [TOTP_REQUIRED, 'has only a disabled app: no way around it', { devices: [disabledApp] }, ask(disabledApp)],
    [OPTIONAL, 'wants no second factor', {}, IN],
    [OPTIONAL, 'has opted in', { required: true, devices: [app] }, ask(app)],
  ])('%j: %s', (policy, _who, facts, decision) => {
    expect(decideAfterFirstFactor(user(policy, { ...facts, federated: true }))).toEqual(decision);
  });
});

describe('the first factor was a message: its channel proves nothing new', () => {
  const byMail: UserFacts = { firstChannel: 'email' };
  const byText: UserFacts = { firstChannel: 'sms', addresses: ['email', 'sms'] };
  const everything: UserFacts = { enrollable: ['email', 'sms', 'totp'] };

  it.each<[policy: PolicyName, who: string, facts: UserFacts, decision: AfterFirstFactor]>([
    ['EMAIL_OR_TOTP', 'mail, a new user: another channel is enrolled', byMail, enroll('totp')],
    ['EMAIL_OR_TOTP', 'mail, and phones can be enrolled', { ...byMail, ...everything }, enroll('sms', 'totp')],
    ['EMAIL_OR_TOTP', 'mail, has a mailbox', { ...byMail, devices: [mail] }, enroll('totp')],
    ['EMAIL_OR_TOTP', 'mail, has an app', { ...byMail, devices: [app] }, ask(app)],
    ['EMAIL_OR_TOTP', 'mail, prefers the mailbox', { ...byMail, devices: [mail, app], preferred: 'email' }, ask(app)],
    ['EMAIL_OR_TOTP', 'mail, has a phone', { ...byMail, devices: [mail, phone] }, ask(phone)],
    ['EMAIL_OR_TOTP', 'mail, has a mailbox and a sheet', { ...byMail, devices: [mail, sheet] }, ask(sheet)],
    ['EMAIL_OR_TOTP', 'mail, has a disabled app: no new one', { ...byMail, devices: [disabledApp] }, ask(disabledApp)],
    ['EMAIL_OR_TOTP', 'mail, nothing can be enrolled', { ...byMail, enrollable: ['email'] }, NOT_CONFIGURED],
    ['EMAIL_OR_TOTP', 'text, has an address', byText, ASK_THE_ADDRESS],
    ['EMAIL_OR_TOTP', 'text, has a phone', { ...byText, devices: [phone] }, ASK_THE_ADDRESS],
    ['EMAIL_OR_TOTP', 'text, has a phone and a mailbox', { ...byText, devices: [phone, mail] }, ask(mail)],
    ['EMAIL_OR_TOTP', 'text, no mailbox', { ...byText, ...everything, addresses: ['sms'] }, enroll('email', 'totp')],
    ['TOTP_REQUIRED', 'mail, a new user', byMail, enroll('totp')],
    ['TOTP_REQUIRED', 'mail, has an app', { ...byMail, devices: [mail, app] }, ask(app)],
    ['TOTP_REQUIRED', 'text, a new user', byText, ASK_THE_ADDRESS],
    ['OPTIONAL', 'mail, a new user', byMail, IN],
    ['OPTIONAL', 'mail, has an app and no wish', { ...byMail, devices: [app] }, IN],
    ['OPTIONAL', 'mail, prefers the app', { ...byMail, devices: [app], preferred: 'totp' }, ask(app)],
    ['OPTIONAL', 'mail, prefers the mailbox', { ...byMail, devices: [mail], preferred: 'email' }, IN],
    ['OPTIONAL', 'mail, opted in with an app', { ...byMail, devices: [app], required: true }, ask(app)],
    ['OPTIONAL', 'mail, opted in with a mailbox', { ...byMail, devices: [mail], required: true }, enroll('totp')],
  ])('%s %s', (policy, _who, facts, decision) => {
    expect(decideAfterFirstFactor(user(POLICIES[policy], facts))).toEqual(decision);
  });

  it.each<[policy: PolicyName, proved: MethodType, who: string, facts: UserFacts, decision: AfterSecondFactor]>([
    ['EMAIL_OR_TOTP', 'email', 'the same channel again', byMail, REFUSED],
    ['EMAIL_OR_TOTP', 'totp', 'an app after mail', { ...byMail, devices: [app] }, IN],
    ['EMAIL_OR_TOTP', 'email', 'mail after text', byText, IN],
    ['TOTP_REQUIRED', 'email', 'mail after text opens the enrollment', byText, enroll('totp')],
    ['TOTP_REQUIRED', 'email', 'but not beside an app', { ...byText, devices: [app] }, REFUSED],
    [
      'TEXT_OR_APP',
      'email',
      'the phone of the first factor is no reason to refuse, and no second one is offered',
      { ...byText, ...everything, devices: [phone] },
      enroll('totp'),
    ],
  ])('%s %s: %s', (policy, proved, _who, facts, decision) => {
    expect(decideAfterSecondFactor(user(POLICIES[policy], facts), proved)).toEqual(decision);
  });
});

describe('the browser is trusted: the password is enough', () => {
  const trustedMethod = 'totp';

  it.each<[policy: PolicyName, who: string, facts: UserFacts]>([
    ['EMAIL_OR_TOTP', 'a new user', {}],
    ['EMAIL_OR_TOTP', 'has an app', { devices: [app] }],
    ['TOTP_REQUIRED', 'has an app', { devices: [app] }],
    ['OPTIONAL', 'has opted in', { devices: [app], required: true }],
    ['OPTIONAL', 'nobody demands one', {}],
  ])('%s %s', (policy, _who, facts) => {
    expect(decideAfterFirstFactor(user(POLICIES[policy], { ...facts, trustedMethod }))).toEqual(IN);
  });
});

describe('recovery codes stand in for another device', () => {
  it.each<FirstFactorRow>([
    ['beside an app: the app is asked', { devices: [sheet, app] }, ask(app)],
    [
      'beside a disabled app: the app is asked, the sheet may be chosen',
      { devices: [sheet, disabledApp] },
      ask(disabledApp),
    ],
    ['alone they are nothing', { devices: [sheet] }, ASK_THE_ADDRESS],
    ['alone and without an address', { devices: [sheet], addresses: [] }, NOT_CONFIGURED],
  ])('%s', (_who, facts, decision) => {
    expect(decideAfterFirstFactor(user(EMAIL_OR_TOTP, facts))).toEqual(decision);
  });

  it.each<[policy: PolicyName, who: string, facts: UserFacts, decision: AfterSecondFactor]>([
    ['EMAIL_OR_TOTP', 'beside an app', { devices: [app, sheet] }, IN],
    ['TOTP_REQUIRED', 'beside an app', { devices: [app, sheet] }, IN],
    ['TOTP_REQUIRED', 'beside a disabled app', { devices: [disabledApp, sheet] }, IN],
    ['TOTP_REQUIRED', 'beside a mailbox that is not trusted', { devices: [mail, sheet] }, REFUSED],
    ['EMAIL_OR_TOTP', 'alone', { devices: [sheet] }, REFUSED],
  ])('proved: %s %s', (policy, _who, facts, decision) => {
    expect(decideAfterSecondFactor(user(POLICIES[policy], facts), 'recovery_codes')).toEqual(decision);
  });

  it('are offered last, and only beside a device of a trusted method', () => {
    const offered = (policy: Policy, ...devices: DeviceFact[]) =>
      allowedDevices({ policy, preferred: null, devices }).map(({ id }) => id);
    expect(offered(EMAIL_OR_TOTP, sheet, mail, app)).toEqual(['app', 'mail', 'sheet']);
    expect(offered(TOTP_REQUIRED, sheet, mail)).toEqual([]);
  });

  it('are no device to live from: the app beside them is the last one, and nobody can prefer or opt in with them', () => {
    const facts = user(OPTIONAL, { devices: [disabledApp, sheet], addresses: [] });
    expect(isLastDevice(user(TOTP_REQUIRED, { devices: [app, sheet] }), app.id)).toBe(true);
    expect(isLastDevice(user(TOTP_REQUIRED, { devices: [app, sheet] }), sheet.id)).toBe(false);
    expect(decideRequirement(facts, true)).toEqual(no('two_factor_not_configured'));
    expect(decidePreference(facts, 'recovery_codes')).toEqual(no('method_not_allowed'));
  });
});
