import { Injectable } from '@nestjs/common';
import type { MethodType } from '../../two-factor/policy.js';
import { Config } from '../../config/config.js';
import { EmailMethod } from './email.js';
import type { Method } from './method.js';
import { RecoveryCodesMethod } from './recovery-codes.js';
import { SmsMethod } from './sms.js';
import { TotpMethod } from './totp.js';

const PASSWORD = 'password';
const PASSWORD_AMR: readonly string[] = ['pwd'];

/** Every method there is. Another one is a file beside these and a line here. */
@Injectable()
export class Methods {
  /** The types of which a user can create a device; recovery codes come with another one. */
  readonly enrollable: readonly MethodType[];
  private readonly byType: ReadonlyMap<MethodType, Method>;

  constructor(
    email: EmailMethod,
    sms: SmsMethod,
    totp: TotpMethod,
    recoveryCodes: RecoveryCodesMethod,
    config: Config,
  ) {
    this.byType = new Map([email, sms, totp, recoveryCodes].map((method: Method) => [method.type, method]));
    // Without a driver nobody could receive a text message; the method stays for what was proved by it before.
    this.enrollable = config.sms.driver === null ? ['email', 'totp'] : ['email', 'sms', 'totp'];
  }

  /** Null where nobody can create a device of it. */
  find(type: MethodType): Method | null {
    return this.enrollable.includes(type) ? this.get(type) : null;
  }

  get(type: MethodType): Method {
    const method = this.byType.get(type);
    if (!method) throw new Error(`There is no method ${type}`);
    return method;
  }

  /** Authentication method references of a list of proofs: `password` or method types. */
  amrOf(proved: readonly string[]): string[] {
    return proved.flatMap((proof) => (proof === PASSWORD ? PASSWORD_AMR : this.get(proof as MethodType).amr));
  }
}
