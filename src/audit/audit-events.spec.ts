import { expectTypeOf, it } from 'vitest';
import type { AuditEvents, AuditEventType, WithoutSecrets } from './audit-events.js';

it('has no event whose details sound like a secret', () => {
  expectTypeOf<AuditEventType>().toEqualTypeOf<keyof AuditEvents>();
});

it('would not let one be recorded, be it only in some cases', () => {
  interface Events {
    harmless: { errorCode: number; deviceId: string };
    code: { code: string };
    password: { newPassword: string };
    token: { left: number } | { refreshToken: string };
    optional: { clientSecret?: string };
  }
  expectTypeOf<WithoutSecrets<Events>>().toEqualTypeOf<'harmless'>();
});
