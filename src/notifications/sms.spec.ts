import { describe, expect, it } from 'vitest';
import { LOCALES } from './locale.js';
import type { CodeText, CodeTextKind, InvitationText } from './messages.js';
import { NoSms, SmsRefusedError } from './sms.js';
import { smsText } from './sms-text.js';
import { NoVerifier } from './verify-provider.js';

const kinds: Record<CodeTextKind, true> = {
  'sign-in-code': true,
  'device-code': true,
  'password-reset-code': true,
  'first-factor-code': true,
};
const site = 'https://id.example.test';
const message = (kind: CodeTextKind, code = '012345'): CodeText => ({
  channel: 'sms',
  kind,
  to: '+4915112345636',
  code,
  minutes: 10,
});

/** The GSM 7-bit default alphabet (3GPP TS 23.038 §6.2.1), without the extension table whose characters count twice. */
const GSM = /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà-]*$/u;

const texts = LOCALES.flatMap((locale) => (Object.keys(kinds) as CodeTextKind[]).map((kind) => ({ locale, kind })));

describe.each(texts)('a text message in $locale, $kind,', ({ locale, kind }) => {
  it('shows the code first and how long it lives', () => {
    expect(smsText(message(kind), site, locale)).toMatch(/^012345 .*\b10 min\./i);
  });

  it('is one message of the GSM alphabet, with the line that binds it and the longest code', () => {
    const text = smsText(message(kind, 'AbCdEfGh12'), site, locale);
    expect(text).toMatch(GSM);
    expect(text).toMatch(/\n\n@id\.example\.test #AbCdEfGh12$/);
    expect(text.length).toBeLessThanOrEqual(160);
  });

  it('has no link and asks for no answer', () => {
    expect(smsText(message(kind), site, locale)).not.toMatch(/https?:|www\.|\breply\b|\bantworten\b/i);
  });
});

describe.each(LOCALES)('an invitation by text message in %s', (locale) => {
  it('is our link in the GSM alphabet, in one message where our name is short', () => {
    const url = `${site}/invitation?token=${'x'.repeat(43)}`;
    const invitation = { channel: 'sms', kind: 'invitation', to: '+4915112345636', url, until: '2026-11-29 10:00 UTC' };
    const text = smsText(invitation as InvitationText, site, locale);
    // the characters of the link itself are of the base alphabet, but for `_`
    expect(text).toMatch(GSM);
    expect(text.match(/https?:\S+/g)).toEqual([url]);
    expect(text).toContain('2026-11-29 10:00 UTC');
    expect(text.length).toBeLessThanOrEqual(160);
  });
});

describe('the line that binds the code to the site', () => {
  it('names the host without port and path, as the specification asks', () => {
    expect(smsText(message('device-code'), 'http://localhost:3000/id')).toMatch(/\n\n@localhost #012345$/);
  });

  it('is left out where it would cost a second message', () => {
    const text = smsText(message('sign-in-code'), `https://${'a'.repeat(60)}.example.test`);
    expect(text).not.toContain('@');
    expect(text.length).toBeLessThanOrEqual(160);
  });
});

describe('without a driver', () => {
  it('nothing is sent, and nothing is tried again', async () => {
    await expect(new NoSms().send()).rejects.toBeInstanceOf(SmsRefusedError);
    await expect(new NoVerifier().start()).rejects.toBeInstanceOf(SmsRefusedError);
  });

  it('no code is right', async () => {
    await expect(new NoVerifier().check()).resolves.toBe('unavailable');
  });
});
