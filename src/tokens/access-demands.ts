import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { repeatRead } from '../database/repeat-reads.js';
import { Problem } from '../problems/problem.js';
import type { Acr } from './assurance.js';
import type { AccessPrincipal } from './principal.js';
import { findProvable } from './session.queries.js';

/** What is demanded of a signed-in user besides his token: by a whole route, or by a part of what he asks there. */
@Injectable()
export class AccessDemands {
  constructor(
    private readonly config: Config,
    private readonly clock: Clock,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  /** @throws Problem admin_required, insufficient_user_authentication */
  async requireAdmin({ roles, acr, userId, sessionId }: AccessPrincipal): Promise<void> {
    if (!roles.includes('admin')) throw new Problem('admin_required');
    if (acr === 'aal2') return;
    // A password alone, or a factor that counts less, must not be enough where the admin has a better one.
    const { aal2Methods } = this.config.twoFactor;
    const { deviceSince } = await repeatRead(() => findProvable(this.db, { userId, sessionId }, aal2Methods));
    if (deviceSince !== null) throw this.stepUp('aal2');
  }

  /**
   * For what weakens or replaces a proof. Whoever had a factor of `aal2` must have shown one: else somebody who reads his
   * mail could sign in by that, and make a factor of his own that counts (NIST SP 800-63B-4 §4.1.2). The first such factor,
   * and what follows in the same minutes, such as recovery codes, needs none. A trusted browser has proved nothing.
   * @throws Problem insufficient_user_authentication
   */
  async requireFresh({ authTime, acr, userId, sessionId, roles }: AccessPrincipal): Promise<void> {
    const { aal2Methods, stepUpMaxAgeSeconds } = this.config.twoFactor;
    const fresh = this.clock.seconds() - authTime <= stepUpMaxAgeSeconds;
    if (acr === 'aal2' && fresh) return;
    // Who has but a mailbox beside his recovery codes would spend one for every change. Administrators do.
    const better = aal2Methods.filter((method) => method !== 'recovery_codes' || roles.includes('admin'));
    const { deviceSince, trusted } = await repeatRead(() => findProvable(this.db, { userId, sessionId }, better));
    const hadBetter = deviceSince !== null && deviceSince < authTime;
    if (fresh && !trusted && !hadBetter) return;
    throw this.stepUp(deviceSince === null ? 'aal1' : 'aal2');
  }

  private stepUp(acrValues: Acr): Problem {
    const { stepUpMaxAgeSeconds: maxAge } = this.config.twoFactor;
    return new Problem('insufficient_user_authentication', { stepUp: { acrValues, maxAge } });
  }
}
