import { expect } from 'vitest';
import type { TestApp } from './app.js';

/** The link of the next unread mail. */
export async function nextLink(app: TestApp, address: string, subject: RegExp): Promise<URL> {
  const { text } = await app.mailbox.next(address, subject);
  const url = /https?:\/\/\S+/.exec(text)?.[0];
  if (!url) throw new Error(`No link in the mail: ${text}`);
  return new URL(url);
}

/** Asks for a magic link and reads it. */
export async function magicLink(app: TestApp, address: string, redirectTo?: string): Promise<URL> {
  const body = { identifier: address, ...(redirectTo === undefined ? {} : { redirectTo }) };
  const asked = await app.http.post('/auth/magic-link', body);
  expect([asked.status, asked.body['resendIn']]).toEqual([202, 60]);
  return nextLink(app, address, /sign-in link/);
}

/** Asks to reset the password and reads the link. */
export async function resetLink(app: TestApp, address: string): Promise<URL> {
  const asked = await app.http.post('/auth/password-reset', { identifier: address });
  expect([asked.status, asked.body['resendIn']]).toEqual([202, 60]);
  return nextLink(app, address, /Choose a new password/);
}

export function tokenOf(link: URL): string {
  return link.searchParams.get('token') ?? '';
}
