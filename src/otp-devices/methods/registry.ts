import { Injectable } from '@nestjs/common';
import { ConfiguredPolicy } from '../../two-factor/configured-policy.js';
import type { MethodType } from '../../two-factor/policy.js';
import { EmailMethod } from './email.js';
import type { Method } from './method.js';
import { RecoveryCodesMethod } from './recovery-codes.js';
import { SmsMethod } from './sms.js';
import { TotpMethod } from './totp.js';

/** First factors that are no methods. `fed`, for a provider's word, is not of RFC 8176: others say it too, and it has none. */
const FIRST_FACTORS: Readonly<Record<string, readonly string[]>> = {
  password: ['pwd'],
  password_by_email: ['pwd'],
  password_by_sms: ['pwd'],
  social: ['fed'],
};

/** Every method there is. Another one is a file beside these and a line here. */
@Injectable()
export class Methods {
  private readonly byType: ReadonlyMap<MethodType, Method>;

  constructor(
    email: EmailMethod,
    sms: SmsMethod,
    totp: TotpMethod,
    recoveryCodes: RecoveryCodesMethod,
    private readonly configured: ConfiguredPolicy,
  ) {
    this.byType = new Map([email, sms, totp, recoveryCodes].map((method: Method) => [method.type, method]));
  }

  /** Null where nobody can create a device of it. */
  find(type: MethodType): Method | null {
    return this.configured.enrollable.includes(type) ? this.get(type) : null;
  }

  get(type: MethodType): Method {
    const method = this.byType.get(type);
    if (!method) throw new Error(`There is no method ${type}`);
    return method;
  }

  /** Authentication method references of a list of proofs: `password`, `social` or method types. */
  amrOf(proved: readonly string[]): string[] {
    return proved.flatMap((proof) => FIRST_FACTORS[proof] ?? this.get(proof as MethodType).amr);
  }
}
