/** The closed list of what is recorded, with what each event tells besides who, when and from where. */
export interface AuditEvents {
  'user.created': Record<string, never>;
  'user.registration-collided': Record<string, never>;
  'user.updated': { fields: string[] };
  'user.password-changed': Record<string, never>;
  'user.password-refused': Record<string, never>;
  'sign-in.challenged': { method: string; codeSent: boolean };
  'sign-in.failed': { reason: 'unknown_identifier' | 'wrong_password' | 'inactive' | 'two_factor_not_configured' };
  'sign-in.succeeded': { proved: readonly string[]; acr: string };
  'second-factor.failed': { method: string; reason: string; failures: number };
  'enrollment.started': { methods: readonly string[] };
  'device.created': { deviceId: string; method: string };
  'device.confirmed': { deviceId: string; method: string };
  'device.removed': { deviceId: string; method: string };
  'two-factor.changed': { preferredMethod?: string | null; required?: boolean };
  'step-up.succeeded': { proved: string };
  'session.revoked': { reason: string };
  'refresh-token.reused': Record<string, never>;
}

export type AuditEventType = keyof AuditEvents;
