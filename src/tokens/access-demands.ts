import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { repeatIfCut } from '../database/repeat-reads.js';
import { Problem } from '../problems/problem.js';
import type { AccessPrincipal } from './principal.js';
import { hasDevice } from './session.queries.js';

/** What is demanded of a signed-in user besides his token: by a whole route, or by a part of what he asks there. */
@Injectable()
export class AccessDemands {
  constructor(
    private readonly config: Config,
    private readonly clock: Clock,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  /** @throws Problem admin_required, insufficient_user_authentication */
  async requireAdmin({ roles, acr, userId }: AccessPrincipal): Promise<void> {
    if (!roles.includes('admin')) throw new Problem('admin_required');
    if (acr === 'aal2') return;
    // A password alone, or a factor that counts less, must not be enough where the admin has a better one.
    const { aal2Methods, stepUpMaxAgeSeconds: maxAge } = this.config.twoFactor;
    if (!(await repeatIfCut(() => hasDevice(this.db, userId, aal2Methods)))) return;
    throw new Problem('insufficient_user_authentication', { stepUp: { acrValues: 'aal2', maxAge } });
  }

  /** @throws Problem insufficient_user_authentication */
  requireFresh({ authTime, acr }: AccessPrincipal): void {
    const { stepUpMaxAgeSeconds: maxAge } = this.config.twoFactor;
    if (this.clock.seconds() - authTime <= maxAge) return;
    throw new Problem('insufficient_user_authentication', { stepUp: { acrValues: acr, maxAge } });
  }
}
