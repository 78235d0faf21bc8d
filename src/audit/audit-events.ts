/** The closed list of what is recorded, with what each event tells besides who, when and from where. */
export interface AuditEvents {
  'user.created': Record<string, never>;
  'user.registration-collided': Record<string, never>;
  'user.updated': { fields: string[] };
  'user.password-changed': Record<string, never>;
  'user.password-refused': Record<string, never>;
  'sign-in.challenged': { method: string; codeSent: boolean };
  'sign-in.failed': {
    reason: 'unknown_identifier' | 'wrong_password' | 'wrong_code' | 'inactive' | 'two_factor_not_configured';
  };
  'sign-in.succeeded': { proved: readonly string[]; acr: string };
  'second-factor.failed': { method: string; reason: string; failures: number };
  'enrollment.started': { methods: readonly string[] };
  'device.created': { deviceId: string; method: string };
  'device.confirmed': { deviceId: string; method: string };
  'device.removed': { deviceId: string; method: string };
  'two-factor.changed': { preferredMethod?: string | null; required?: boolean };
  'recovery-codes.created': Record<string, never>;
  'recovery-code.used': { left: number };
  'browser.trusted': Record<string, never>;
  'browser.forgotten': { count: number };
  'proof.requested': { purpose: string; sent: boolean };
  'user.password-reset': Record<string, never>;
  'step-up.succeeded': { proved: string };
  /** What became of a message here, or what a provider that took it reports later. */
  'message.delivery':
    | { messageId: string; kind: string; channel: 'email' | 'sms'; state: DeliveryState; attempts: number }
    | { messageId: string | null; providerId: string; state: string; errorCode: number | null };
  'session.revoked': { reason: string };
  'refresh-token.reused': Record<string, never>;
}

/**
 * `sent`: a server took it · `refused`: for good, so it was not tried again · `expired`: it was not sent because its
 * code no longer works · `unanswered`: handed over twice without an answer · `failed`: given up.
 */
export type DeliveryState = 'sent' | 'refused' | 'expired' | 'unanswered' | 'failed';

export type AuditEventType = keyof AuditEvents;
