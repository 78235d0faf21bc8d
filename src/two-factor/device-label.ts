import { maskEmail, maskPhone } from '../notifications/mask.js';
import type { MethodType } from './policy.js';

const METHOD_NAMES: Record<MethodType, string> = {
  email: 'E-mail',
  sms: 'Text message',
  totp: 'Authenticator app',
  recovery_codes: 'Recovery codes',
};

/** What a device is called on a sign-in page: never a whole address, whose length would tell something too. */
export function deviceLabel({ type, address }: { type: MethodType; address: string | null }): string {
  if (address === null) return METHOD_NAMES[type];
  return type === 'sms' ? maskPhone(address) : maskEmail(address);
}
