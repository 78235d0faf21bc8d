import { Injectable } from '@nestjs/common';

/** What somebody wants to do with an identity: rules may differ. */
export type RulePurpose = 'registration' | 'codes';

/** Who somebody says he is and where from: canonical forms; what is absent is not judged. */
export interface Named {
  email?: string | null;
  phoneNumber?: string | null;
  username?: string | null;
  ip?: string | null;
}

/** The operator's list of who may come in and whom codes are sent to. */
@Injectable()
export class IdentityRules {
  /** @throws Problem identity_refused, address_refused */
  async requireAllowed(purpose: RulePurpose, named: Named): Promise<void> {
    await this.allows(purpose, named);
  }

  /** The same for whoever must not be told. */
  allows(_purpose: RulePurpose, _named: Named): Promise<boolean> {
    return Promise.resolve(true);
  }
}
