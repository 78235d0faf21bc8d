import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Notifications } from '../notifications/notifications.service.js';
import { Problem } from '../problems/problem.js';
import { LiveSessions } from '../tokens/live-sessions.js';
import { Tokens, type TokenPair } from '../tokens/tokens.service.js';
import { Users } from '../users/users.service.js';

@Injectable()
export class Refresh {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly tokens: Tokens,
    private readonly liveSessions: LiveSessions,
    private readonly users: Users,
    private readonly notifications: Notifications,
    private readonly audit: Audit,
  ) {}

  /**
   * Rotates a refresh token. An already rotated one that comes back ends the whole session: either the user or a
   * thief has the newest, and nobody can tell which (RFC 9700 §4.14.2).
   */
  async rotate(refreshToken: string, client: Client): Promise<TokenPair> {
    const rotated = await this.tokens.rotateKnown(refreshToken);
    if (rotated) return rotated;
    // Twice: one that was overtaken by the same request, repeated, is within the grace the second time.
    for (let look = 0; look < 2; look += 1) {
      const candidate = await this.tokens.findRefreshCandidate(refreshToken);
      if (!candidate.usable) {
        if (candidate.reason === 'reused') await this.endReused(candidate, client);
        throw new Problem(candidate.reason === 'reused' ? 'refresh_token_reused' : 'invalid_refresh_token');
      }
      const pair = await this.tokens.rotate(candidate);
      if (pair) return pair;
    }
    throw new Problem('invalid_refresh_token');
  }

  private async endReused({ sessionId, userId }: { sessionId: string; userId: string }, client: Client): Promise<void> {
    await this.db.transaction(async (tx) => {
      await this.audit.record(tx, 'refresh-token.reused', { userId, sessionId, client }, {});
      // Of parallel ones only the first ends it, so the user is told once.
      if (await this.tokens.endSession(tx, sessionId, 'refresh_token_reused', client)) await this.tell(tx, userId);
    });
    await this.liveSessions.settle();
  }

  private async tell(tx: EntityManager, userId: string): Promise<void> {
    const user = await this.users.findActive(userId, tx);
    if (user) await this.notifications.tell(tx, user, { kind: 'refresh-token-reused' });
  }
}
