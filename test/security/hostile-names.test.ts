import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { register, signInByMail } from '../support/people.js';

/** A colon is not allowed in it. */
const ISSUER = '<img onerror=x> {{7*7}} ${7*7} //evil.example/?a=b&secret=A#\u202Egp';

describe('I12: names that want to be more than names', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ TOTP_ISSUER: ISSUER });
  });
  afterAll(() => app.close());

  it.each([
    ['markup', '<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
    ['templates', '{{7*7}} {{{body}}} ${7*7}', '{{7*7}} {{{body}}} ${7*7}'],
    ['a link', 'https://evil.example/?a=b', 'https: //evil. example/?a=b'],
    ['parameters', 'a:b&secret=AAAA#c', 'a:b&secret=AAAA#c'],
  ])('%s: data in the link for authenticator apps, text in the mail', async (_what, name, shown) => {
    const person = await register(app);
    const { accessToken: token } = await signInByMail(app, person);
    const { status, body } = await app.http.post<{ id: string; secret: string; otpauthUrl: string; qrCode: string }>(
      '/otp-devices',
      { type: 'totp', name },
      { token },
    );
    expect(status).toBe(201);
    const { protocol, pathname, searchParams, hash } = new URL(body.otpauthUrl);
    expect(protocol).toBe('otpauth:');
    expect(body.otpauthUrl).not.toMatch(/[^!-~]|[<>{}"`]/);
    expect(searchParams.getAll('secret')).toEqual([body.secret]);
    expect(searchParams.getAll('issuer')).toEqual([ISSUER]);
    expect(decodeURIComponent(pathname)).toBe(`/${ISSUER}:${person.email}`);
    expect(hash).toBe('');
    expect(Buffer.from(body.qrCode.split(',')[1] ?? '', 'base64').toString()).not.toMatch(/<img|script|onerror/i);

    await app.http.post(`/otp-devices/${body.id}/confirm`, { code: totpCode(body.secret, app.clock) }, { token });
    const { subject, html, text } = await app.mailbox.next(person.email, /second factor was added/);
    expect(subject).toBe('A new second factor was added to your account');
    expect(text).toContain(`authenticator app “${shown}”.\n`);
    expect(html).not.toMatch(/<img|https?:\//);
  });
});
