import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Config } from '../config/config.js';
import { Problem } from '../problems/problem.js';
import { AccessReader } from '../tokens/access-reader.js';
import { bearerOf } from '../tokens/bearer.js';
import { parseIdentifier } from '../users/identity.js';
import { Users } from '../users/users.service.js';

/** Who may have a code or a link sent to an identifier: everybody, or only whom it names (OTP_SEND_UNAUTHORIZED_USER). */
@Injectable()
export class CodeRequests {
  constructor(
    private readonly reader: AccessReader,
    private readonly users: Users,
    private readonly config: Config,
  ) {}

  /** Somebody else's identifier and nobody's are refused alike. */
  async requireAllowed(request: FastifyRequest, identifier: string): Promise<void> {
    if (this.config.accounts.codesForStrangers) return;
    const token = bearerOf(request, this.config);
    const principal = token === null ? null : await this.reader.read(token);
    const parsed = parseIdentifier(identifier);
    const user = principal && parsed && (await this.users.findByIdentifier(parsed));
    if (!principal || user?.id !== principal.userId) throw new Problem('authentication_required');
  }
}
