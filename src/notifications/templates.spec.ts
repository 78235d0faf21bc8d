import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Message, MessageKind } from './messages.js';
import { Templates } from './templates.js';

const to = 'alice@example.com';

const examples: { [K in MessageKind]: Extract<Message, { kind: K }> } = {
  'sign-in-code': { kind: 'sign-in-code', to, code: '0123456', minutes: 5 },
  'device-code': { kind: 'device-code', to, code: '0123456', minutes: 5 },
  'account-exists': { kind: 'account-exists', to },
  'wrong-codes': { kind: 'wrong-codes', to },
  'device-added': { kind: 'device-added', to, deviceType: 'totp', deviceName: 'My phone' },
  'device-removed': { kind: 'device-removed', to, deviceType: 'totp', deviceName: '' },
  'password-changed': { kind: 'password-changed', to },
};

const templates = new Templates();

describe('every kind of message', () => {
  it.each(Object.values(examples))('$kind has a subject, a text and a page', (message) => {
    const { subject, text, html } = templates.render(message);
    expect(subject).toMatch(/^\S[^\r\n]+$/);
    expect(text).toMatch(/Countersign sent this message automatically; replies are not read\.\n$/);
    expect(text).not.toMatch(/[<>{}]/);
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).toContain(`<title>${subject}</title>`);
    expect(html).not.toMatch(/\{\{|<script|<img|https?:/);
  });

  it.each(['sign-in-code', 'device-code'] as const)('%s shows the code first, and how long it lives', (kind) => {
    const { subject, text, html } = templates.render(examples[kind]);
    expect(subject).toBe('0123456: Your verification code');
    expect(text).toMatch(/^0123456 is the verification code needed /);
    expect(text).toContain('within 5 minutes');
    expect(html).toContain('>0123456</strong> is the verification code needed ');
  });

  it('the code of a sign-in says that it is for the login', () => {
    expect(templates.render(examples['sign-in-code']).text.split('\n')[0]).toBe(
      '0123456 is the verification code needed for the login.',
    );
  });

  it('calls a type of device by its name, and a later type by its identifier', () => {
    expect(templates.render(examples['device-added']).text).toContain('authenticator app “My phone”');
    const later = { ...examples['device-added'], deviceType: 'webauthn' };
    expect(templates.render(later).text).toContain('webauthn “My phone”');
  });
});

describe('a hostile name', () => {
  const named = (deviceName: string) => templates.render({ ...examples['device-added'], deviceName });

  it('is text in the page', () => {
    const { html } = named('<img src=x onerror=alert(1)>');
    expect(html).not.toContain('<img');
    expect(html).toContain('&lt;img src&#x3D;x onerror&#x3D;alert(1)&gt;');
  });

  it('stays as it is in the text', () => {
    expect(named('Tom & "Jerry" <3').text).toContain('“Tom & "Jerry" <3”');
  });

  it('is no template', () => {
    const { html, text } = named('{{7*7}} {{code}} {{{body}}}');
    expect(text).toContain('“{{7*7}} {{code}} {{{body}}}”');
    expect(html).toContain('<strong>{{7*7}} {{code}} {{{body}}}</strong>');
  });

  it('adds no lines, headers or hidden text', () => {
    const { subject, html, text } = named('phone\r\nBcc: eve@example.com\u2028\u0000x\u202Egpj\u200B');
    expect(text).toContain('“phone Bcc: eve@example.com xgpj”');
    expect(html).toContain('<strong>phone Bcc: eve@example.com xgpj</strong>');
    expect(subject).not.toContain('eve');
  });

  it('cannot break the subject', () => {
    const { subject } = templates.render({ ...examples['sign-in-code'], code: '12\r\nBcc: eve@example.com\r\n\r\n' });
    expect(subject).toBe('12 Bcc: eve@example.com: Your verification code');
  });
});

it('a missing template stops the boot and is named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'templates-'));
  try {
    expect(() => new Templates(folder)).toThrow(/layout\.html\.hbs/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
