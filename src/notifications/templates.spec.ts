import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../config/env.js';
import { LOCALES, matchLocale, type Locale } from './locale.js';
import type { Message, MessageKind } from './messages.js';
import { deviceTypes as german } from './templates/de/subjects.js';
import { deviceTypes as english } from './templates/en/subjects.js';
import { Templates, type Wording } from './templates.js';

const FOLDER = join(import.meta.dirname, 'templates');
const to = 'alice@example.com';
const url = 'https://id.example.test/sign-in?token=aBc_-123&next=%2F';

const examples: { [K in MessageKind]: Extract<Message, { kind: K }> } = {
  'sign-in-code': { kind: 'sign-in-code', to, code: '0123456', minutes: 5 },
  'device-code': { kind: 'device-code', to, code: '0123456', minutes: 5 },
  'account-exists': { kind: 'account-exists', to },
  'wrong-codes': { kind: 'wrong-codes', to },
  'wrong-passwords': { kind: 'wrong-passwords', to },
  'device-added': { kind: 'device-added', to, deviceType: 'totp', deviceName: 'My phone' },
  'device-removed': { kind: 'device-removed', to, deviceType: 'totp', deviceName: '' },
  'device-disabled': { kind: 'device-disabled', to, deviceType: 'totp', deviceName: 'My phone' },
  'password-changed': { kind: 'password-changed', to },
  'first-factor-code': { kind: 'first-factor-code', to, code: '0123456', minutes: 5 },
  'magic-link': { kind: 'magic-link', to, url, minutes: 10 },
  'password-reset': { kind: 'password-reset', to, url, minutes: 30 },
  'recovery-codes-created': { kind: 'recovery-codes-created', to },
  'recovery-code-used': { kind: 'recovery-code-used', to, codesLeft: 7 },
  'factor-changed': { kind: 'factor-changed', to, method: 'totp' },
  'refresh-token-reused': { kind: 'refresh-token-reused', to },
  'browser-trusted': { kind: 'browser-trusted', to, browser: 'Firefox on Linux' },
  'address-changed': { kind: 'address-changed', to, deviceType: 'email', removed: false },
  'two-factor-reset': { kind: 'two-factor-reset', to },
  'identity-connected': { kind: 'identity-connected', to, provider: 'Google' },
  'identity-disconnected': { kind: 'identity-disconnected', to, provider: 'Google' },
  'account-deactivated': { kind: 'account-deactivated', to },
  'account-deleted': { kind: 'account-deleted', to },
  invitation: { kind: 'invitation', to, inviter: 'Ada', message: 'Join us', url, until: '2026-11-29 10:00 UTC' },
  'invitation-accepted': { kind: 'invitation-accepted', to, address: 'b•••@example.com' },
};
const kinds = Object.keys(examples) as MessageKind[];
const codeKinds = ['sign-in-code', 'device-code', 'first-factor-code'] as const;
const linkKinds = ['magic-link', 'password-reset', 'invitation'] as const;

const ends: Record<Locale, RegExp> = {
  en: /\n--\nCountersign sent this message automatically; replies are not read\.\n$/,
  de: /\n--\nDiese Nachricht wurde von Countersign automatisch gesendet; Antworten werden nicht gelesen\.\n$/,
};

const templates = new Templates();

describe.each(LOCALES)('every kind of message in the locale %s', (locale) => {
  it.each(kinds)('%s has a subject, a text and a page', (kind) => {
    const { subject, text, html } = templates.render(examples[kind], locale);
    expect(subject).toMatch(/^\S[^\r\n]+$/);
    expect(text).toMatch(ends[locale]);
    expect(text).not.toMatch(/[<>{}]|undefined|\n\n\n/);
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).toContain(`<html lang="${locale}">`);
    expect(html).toContain(`<title>${subject}</title>`);
    expect(html).not.toMatch(/\{\{|<script|<img|undefined/);
    expect(html.match(/https?:[^"<]*/g) ?? []).toHaveLength(linkKinds.some((link) => link === kind) ? 3 : 0);
  });

  it.each(codeKinds)('%s shows the code first, and how long it lives', (kind) => {
    const { subject, text, html } = templates.render(examples[kind], locale);
    expect(subject).toMatch(/^0123456: /);
    expect(text).toMatch(/^0123456 (is|ist) /);
    expect(text).toMatch(/ 5 (minutes|Minuten) /);
    expect(html).toMatch(/>0123456<\/strong> (is|ist) /);
  });

  it.each(linkKinds)('%s has the link alone on a line, as a button and to copy', (kind) => {
    const { text, html } = templates.render(examples[kind], locale);
    expect(text.split('\n')).toContain(url);
    const escaped = 'https://id.example.test/sign-in?token&#x3D;aBc_-123&amp;next&#x3D;%2F';
    expect(html.split(`href="${escaped}"`)).toHaveLength(3);
    expect(html).toContain(`>${escaped}</a>`);
  });

  it('has nothing that is not sent', () => {
    const files = readdirSync(join(FOLDER, locale)).filter((file) => file.endsWith('.hbs'));
    expect(files.toSorted()).toEqual(
      ['layout', ...kinds].flatMap((name) => [`${name}.html.hbs`, `${name}.text.hbs`]).toSorted(),
    );
  });
});

describe('the words of a locale', () => {
  it('the code of a sign-in says that it is for the login', () => {
    const { subject, text } = templates.render(examples['sign-in-code']);
    expect(subject).toBe('0123456: Your verification code');
    expect(text.split('\n')[0]).toBe('0123456 is the verification code needed for the login.');
  });

  it.each([...codeKinds, 'magic-link', 'password-reset'] as const)('%s lives one minute, or many', (kind) => {
    const said = (minutes: number, locale: Locale) => {
      const { text, html } = templates.render({ ...examples[kind], minutes }, locale);
      return [text, html].map((shown) => /\d+ Minuten|\d+ minutes|\d+ minute|\d+ Minute/.exec(shown)?.[0]);
    };
    expect([said(1, 'en'), said(2, 'en')]).toEqual([Array(2).fill('1 minute'), Array(2).fill('2 minutes')]);
    expect([said(1, 'de'), said(2, 'de')]).toEqual([Array(2).fill('1 Minute'), Array(2).fill('2 Minuten')]);
  });

  it('are German where that is wanted', () => {
    const { subject, text } = templates.render(examples['sign-in-code'], 'de');
    expect(subject).toBe('0123456: Ihr Bestätigungscode');
    expect(text.split('\n')[0]).toBe('0123456 ist der Bestätigungscode für die Anmeldung.');
  });

  it('differ in every message', () => {
    for (const kind of kinds) {
      const [one, other] = [templates.render(examples[kind], 'en'), templates.render(examples[kind], 'de')];
      expect(one.subject).not.toBe(other.subject);
      expect(one.text.split('\n')[0]).not.toBe(other.text.split('\n')[0]);
    }
    expect(Object.keys(german)).toEqual(Object.keys(english));
  });

  it('name a type of device, and a later type by its identifier', () => {
    expect(templates.render(examples['device-added']).text).toContain('authenticator app “My phone”.');
    expect(templates.render(examples['device-added'], 'de').text).toContain('Authenticator-App „My phone“.');
    expect(templates.render(examples['factor-changed']).text).toContain('changed: authenticator app is asked first.');
    const later = { ...examples['device-added'], deviceType: 'webauthn' };
    expect(templates.render(later, 'de').text).toContain('webauthn „My phone“');
  });

  it('say how many recovery codes are left, and warn when they are few', () => {
    const { text } = templates.render(examples['recovery-code-used']);
    expect(text.split('\n')[0]).toBe('One of your recovery codes was used. Codes left: 7.');
    const last = templates.render({ ...examples['recovery-code-used'], codesLeft: 3 });
    expect(last.text.split('\n')[0]).toMatch(/Codes left: 3\. Make new ones soon/);
  });
});

describe('the locale of a message', () => {
  it.each<[string | null, Locale]>([
    [null, 'en'],
    ['', 'en'],
    ['de', 'de'],
    ['de-AT', 'de'],
    ['DE_de', 'de'],
    ['de-Latn-CH-1996', 'de'],
    ['en-GB', 'en'],
    ['den', 'en'],
    ['fr', 'en'],
    ['fr, de-AT;q=0.8, en;q=0.5', 'de'],
    ['en;q=0.2, de;q=0.9', 'de'],
    ['en, de', 'en'],
    ['fr, *', 'en'],
    ['de;q=0, fr', 'en'],
    ['de;q=x', 'en'],
    ['*;q=0.1, de', 'de'],
    [`${'x,'.repeat(1e5)}de`, 'en'],
  ])('for %s is %s', (wanted, locale) => {
    expect(matchLocale(wanted)).toBe(locale);
  });
});

describe('a locale that lacks a template', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'templates-'));
    cpSync(FOLDER, folder, { recursive: true });
    for (const format of ['html', 'text']) rmSync(join(folder, 'de', `password-changed.${format}.hbs`));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('borrows the English one', () => {
    const { subject, text, html } = new Templates(undefined, folder).render(examples['password-changed'], 'de');
    expect(subject).toBe('Ihr Passwort wurde geändert');
    expect(text).toMatch(/^The password of your account was changed\./);
    expect(text).toMatch(ends.de);
    expect(html).toContain('The password of your account was changed.');
  });

  it('stops the boot when it is the English one, and names it', () => {
    for (const missing of ['magic-link.text.hbs', 'layout.html.hbs']) {
      rmSync(join(folder, 'en', missing));
      expect(() => new Templates(undefined, folder)).toThrow(
        new RegExp(`The mail template .*/en/${missing} cannot be used: ENOENT`),
      );
    }
  });
});

describe('a hostile name', () => {
  const named = (deviceName: string, locale?: Locale) =>
    templates.render({ ...examples['device-added'], deviceName }, locale);

  it('is text in the page', () => {
    const { html } = named('<img src=x onerror=alert(1)>');
    expect(html).not.toContain('<img');
    expect(html).toContain('&lt;img src&#x3D;x onerror&#x3D;alert(1)&gt;');
  });

  it('stays as it is in the text', () => {
    expect(named('Tom & "Jerry" <3, A:B, &secret=1, ${7*7}').text).toContain(
      '“Tom & "Jerry" <3, A:B, &secret=1, ${7*7}”',
    );
  });

  it('is no template', () => {
    const { html, text } = named('{{7*7}} {{code}} {{{body}}} ${7*7} {code}');
    expect(text).toContain('“{{7*7}} {{code}} {{{body}}} ${7*7} {code}”');
    expect(html).toContain('<strong>{{7*7}} {{code}} {{{body}}} ${7*7} {code}</strong>');
  });

  it('adds no lines, headers or hidden text', () => {
    const { subject, html, text } = named('phone\r\nBcc: eve@example.com\u2028\u0000x\u202Egpj\u200B');
    expect(text).toContain('“phone Bcc: eve@example. com xgpj”');
    expect(html).toContain('<strong>phone Bcc: eve@example. com xgpj</strong>');
    expect(subject).not.toContain('eve');
  });

  it.each(LOCALES)('is nothing to tap on (%s)', (locale) => {
    const { html, text } = named('https://evil.example/a?b=c www.evil.example', locale);
    expect(text).toContain('https: //evil. example/a?b=c www. evil. example');
    const browser = templates.render(
      { ...examples['browser-trusted'], browser: 'x/5.0 (http://evil.example)' },
      locale,
    );
    expect(browser.text).toContain('x/5.0 (http: //evil. example)');
    for (const shown of [text, html, browser.text, browser.html]) expect(shown).not.toMatch(/https?:\/|evil\.example/);
  });

  it('cannot break the subject', () => {
    const { subject } = templates.render({ ...examples['sign-in-code'], code: '12\r\nBcc: eve@example.com\r\n\r\n' });
    expect(subject).toBe('12 Bcc: eve@example.com: Your verification code');
  });

  it('of the product itself is text too', () => {
    const brand = '<img src=x onerror=alert(1)> {{7*7}} ${7*7}\u202E';
    const own = new Templates({ brand, subjectOverride: null, bodyOverride: null });
    const { subject, html, text } = own.render(examples['magic-link']);
    expect(subject).toBe('Your sign-in link for <img src=x onerror=alert(1)> {{7*7}} ${7*7}');
    expect(text).toContain('\n--\n<img src=x onerror=alert(1)> {{7*7}} ${7*7} sent this message');
    expect(html).not.toContain('<img');
    expect(html.split('&lt;img src&#x3D;x onerror&#x3D;alert(1)&gt; {{7*7}} ${7*7}')).toHaveLength(4);
  });
});

describe('words of one’s own', () => {
  const wording = (own: Partial<Wording>) =>
    new Templates({ brand: 'Acme ID', subjectOverride: null, bodyOverride: null, ...own });

  it('name the product at the top and the bottom', () => {
    const { text, html } = wording({}).render(examples['password-changed'], 'de');
    expect(text).toContain('von Acme ID automatisch');
    expect(html.split('Acme ID')).toHaveLength(3);
    expect(`${text}${html}`).not.toContain('Countersign');
  });

  it.each(codeKinds)('replace subject and body of %s in every language', (kind) => {
    const own = wording({
      subjectOverride: '{code} for Acme ({minutes} min) {name}',
      bodyOverride: 'Your code: {code}\nfor {minutes} min <b>\n\nDo not share it; {{code}} {name}.',
    });
    for (const locale of LOCALES) {
      const { subject, text, html } = own.render(examples[kind], locale);
      expect(subject).toBe('0123456 for Acme (5 min) {name}');
      expect(text).toMatch(/^Your code: 0123456\nfor 5 min <b>\n\nDo not share it; \{0123456\} \{name\}\.\n\n--\n/);
      expect(html).toContain('>Your code: 0123456<br />for 5 min &lt;b&gt;</p>');
      expect(html).toContain('>Do not share it; {0123456} {name}.</p>');
      expect(html).toContain('<title>0123456 for Acme (5 min) {name}</title>');
    }
  });

  it('replace nothing in other messages', () => {
    const own = wording({ subjectOverride: 'S {code}', bodyOverride: 'B {code}' });
    for (const kind of kinds.filter((other) => !codeKinds.some((code) => code === other))) {
      const { subject, text } = own.render(examples[kind]);
      expect(subject).not.toMatch(/^S /);
      expect(text).not.toMatch(/^B /);
    }
  });

  it('are not looked at for placeholders twice', () => {
    const own = wording({ bodyOverride: '{code} {minutes}' });
    expect(own.render({ ...examples['sign-in-code'], code: '{minutes}$&' }).text).toMatch(/^\{minutes\}\$& 5\n/);
  });

  it.each([
    ['MAIL_BODY_OVERRIDE', 'Hello, here is your code', 'MAIL_BODY_OVERRIDE: must contain {code}'],
    ['MAIL_SUBJECT_OVERRIDE', '{code}\nBcc: eve@example.com', 'MAIL_SUBJECT_OVERRIDE: must be one line'],
    ['MAIL_SUBJECT_OVERRIDE', '{code}\rx', 'MAIL_SUBJECT_OVERRIDE: must be one line'],
    ['MAIL_BRAND', 'Acme\r\nID', 'MAIL_BRAND: must be one line'],
    ['MAIL_BRAND', 'x'.repeat(65), 'MAIL_BRAND: must be one line'],
  ])('that cannot be used stop the boot: %s=%j', (name, value, problem) => {
    expect(() => readSettings({ [name]: value })).toThrow(problem);
  });

  it('are ours as long as nothing is set', () => {
    expect(readSettings({}).mail).toMatchObject({ brand: 'Countersign', subjectOverride: null, bodyOverride: null });
  });
});
