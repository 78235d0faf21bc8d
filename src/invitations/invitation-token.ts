import { createHash, randomBytes } from 'node:crypto';
import type { Invitation } from './invitations.queries.js';

export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/** 256 random bits need no keyed hash; the purpose in it keeps another link from passing for an invitation. */
export function invitationHash(token: string): Buffer {
  return createHash('sha256').update(`invitation\0${token}`).digest();
}

/** How the token goes out, and so what whoever has it reads. */
export function channelOf({ email }: Pick<Invitation, 'email'>): 'email' | 'sms' {
  return email === null ? 'sms' : 'email';
}
