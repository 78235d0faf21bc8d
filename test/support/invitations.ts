import type { TestApp } from './app.js';
import type { Answer } from './http.js';
import { nextLink, tokenOf } from './links.js';
import type { SignedIn } from './people.js';

export interface Invitation {
  id: string;
  inviter: { id: string; name: string } | null;
  email: string | null;
  phoneNumber: string | null;
  status: 'pending' | 'accepted' | 'expired' | 'revoked';
  roles: string[];
  requireTwoFactor: boolean;
  methods: string[] | null;
  message: string;
  expiresAt: string;
  acceptedAt: string | null;
  acceptedBy: string | null;
  /** Of a refusal. */
  code?: string;
}

/** What follows an acceptance, or why it was refused. */
export interface Accepted extends Partial<Omit<SignedIn, 'status'>> {
  status?: string;
  enrollmentToken?: string;
  methods?: string[];
  device?: { type: string };
  code?: string;
}

export function invite(
  app: TestApp,
  token: string,
  body: Record<string, unknown>,
  headers: Record<string, string> = {},
): Promise<Answer<Invitation>> {
  return app.http.post<Invitation>('/invitations', body, { token, headers });
}

/** Invites an address, and reads the link there. */
export async function inviteAndRead(
  app: TestApp,
  token: string,
  email: string,
  extra: Record<string, unknown> = {},
): Promise<{ id: string; link: URL; token: string }> {
  const { status, body, text } = await invite(app, token, { email, ...extra });
  if (status !== 201) throw new Error(`Inviting answered ${status}: ${text}`);
  const link = await nextLink(app, email, /You are invited/);
  return { id: body.id, link, token: tokenOf(link) };
}

export function accept(
  app: TestApp,
  invitationToken: string,
  body: Record<string, unknown> = {},
  token?: string,
): Promise<Answer<Accepted>> {
  return app.http.post<Accepted>('/invitations/accept', { token: invitationToken, ...body }, { token });
}
