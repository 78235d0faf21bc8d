import { maskEmail, maskPhone } from '../notifications/mask.js';
import type { Inviter } from './invitations.queries.js';

/** What strangers are told of who invites them: his name, or as little of an address as he is recognised by. */
export function nameOf({ firstName, lastName, email, phoneNumber, username }: Inviter): string {
  const name = `${firstName} ${lastName}`.trim();
  if (name !== '') return name;
  if (email !== null) return maskEmail(email);
  return phoneNumber === null ? (username ?? '') : maskPhone(phoneNumber);
}
