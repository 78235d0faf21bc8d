import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { magicLink, resetLink, tokenOf } from '../support/links.js';
import { firstFactor, personWithTotp, register } from '../support/people.js';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

/** A link opened in a browser, as far as the page's script needs one; its requests reach the real application. */
async function open({ pathname, search }: { pathname: string; search: string }, { app: served } = app) {
  const page = (await served.inject({ method: 'GET', url: pathname + search })).body;
  const script = await served.inject('/link-pages.js');
  const button = { disabled: false };
  const message = { textContent: '' };
  const address = { pathname, search };
  const typed: [string, string][] = [];
  const submitted: ((event: { preventDefault(): void }) => Promise<void>)[] = [];
  const form = {
    hidden: false,
    dataset: {
      action: /data-action="([^"]+)"/.exec(page)?.[1] ?? '',
      ...(page.includes('data-show-status') ? { showStatus: '' } : {}),
    },
    querySelector: () => button,
    addEventListener: (_: 'submit', listener: (typeof submitted)[number]) => submitted.push(listener),
  };
  const bodies: unknown[] = [];
  runInNewContext(script.body, {
    document: { querySelector: (selector: string) => (selector === 'form' ? form : message) },
    location: address,
    history: {
      replaceState: (_state: null, _title: string, path: string) => Object.assign(address, { search: '', path }),
    },
    URLSearchParams,
    FormData: function FormData() {
      return typed;
    },
    fetch: async (url: string, request: { method: 'POST'; headers: Record<string, string>; body: string }) => {
      bodies.push(JSON.parse(request.body));
      const { statusCode, body } = await served.inject({ ...request, url, payload: request.body });
      return { ok: statusCode < 300, status: statusCode, json: () => Promise.resolve(JSON.parse(body)) };
    },
  });
  return {
    form,
    message,
    address,
    bodies,
    press: async (fields: Record<string, string> = {}) => {
      typed.splice(0, typed.length, ...Object.entries(fields));
      await submitted[0]?.({ preventDefault: () => undefined });
    },
  };
}

describe('the page of a magic link', () => {
  it('clears the address bar, waits for the button, and tells what follows', async () => {
    const person = await personWithTotp(app);
    const link = await magicLink(app, person.email);
    const page = await open(link);
    expect(page.address.search).toBe('');
    expect(page.bodies).toEqual([]);
    await page.press();
    expect(page.bodies).toEqual([{ token: tokenOf(link) }]);
    expect(page.message.textContent).toBe(
      'The link is right. A second factor is asked next: go on in the application. (second_factor_required)',
    );
    expect(page.form.hidden).toBe(true);
  });

  it('says so where the link was used before', async () => {
    const person = await personWithTotp(app);
    const link = await magicLink(app, person.email);
    await app.http.post('/auth/magic-link/redeem', { token: tokenOf(link) });
    const page = await open(link);
    await page.press();
    expect(page.message.textContent).toContain('The link is not valid.');
  });

  it('calls nobody signed in: it keeps no token', async () => {
    const optional = await startApp({ TWO_FACTOR_TRUSTED_METHODS: 'none', TWO_FACTOR_FALLBACK_METHOD: 'none' });
    try {
      const person = await register(optional);
      const page = await open(await magicLink(optional, person.email), optional);
      await page.press();
      expect(page.message.textContent).toMatch(/cannot keep you signed in.* \(authenticated\)$/);
    } finally {
      await optional.close();
    }
  });

  it('asks for the whole link where the token is missing', async () => {
    const page = await open({ pathname: '/magic-link', search: '' });
    expect([page.form.hidden, page.message.textContent]).toEqual([true, expect.stringContaining('not as it was sent')]);
  });
});

describe('the page of a reset', () => {
  it('says what is wrong with a password, takes a better one, and that one works', async () => {
    const person = await register(app);
    const page = await open(await resetLink(app, person.email));
    await page.press({ newPassword: 'short' });
    expect(page.message.textContent).toMatch(/^The password .*8/);
    await page.press({ newPassword: 'four other uncommon words' });
    expect(page.message.textContent).toBe('Your password is changed. Sign in with it now.');
    expect((await firstFactor(app, person.email, 'four other uncommon words')).status).toBe(200);
  });

  it('cuts no password off: one that is too long is refused, not shortened', async () => {
    const person = await register(app);
    const link = await resetLink(app, person.email);
    expect((await app.app.inject(link.pathname)).body).not.toMatch(/type="password"[^>]*maxlength/);
    const page = await open(link);
    await page.press({ newPassword: 'long '.repeat(30) });
    expect(page.message.textContent).toBe('The password must have at most 128 characters.');
  });

  it('blames the link, not the password, where the token is none', async () => {
    const page = await open({ pathname: '/reset-password', search: `?token=${'x'.repeat(300)}` });
    await page.press({ newPassword: 'four other uncommon words' });
    expect(page.message.textContent).toMatch(/^This link is not as it was sent\./);
  });
});
