import { Injectable } from '@nestjs/common';
import type { MethodType } from '../../two-factor/policy.js';
import { EmailMethod } from './email.js';
import type { Method } from './method.js';
import { TotpMethod } from './totp.js';

const PASSWORD = 'password';
const PASSWORD_AMR: readonly string[] = ['pwd'];

/** Every method there is. Another one is a file beside these and a line here. */
@Injectable()
export class Methods {
  private readonly byType: ReadonlyMap<MethodType, Method>;

  constructor(email: EmailMethod, totp: TotpMethod) {
    this.byType = new Map<MethodType, Method>([email, totp].map((method) => [method.type, method]));
  }

  /** The types of which a user can create a device. */
  get types(): MethodType[] {
    return [...this.byType.keys()];
  }

  find(type: MethodType): Method | null {
    return this.byType.get(type) ?? null;
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
