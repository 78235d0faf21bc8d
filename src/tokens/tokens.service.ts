import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { Audit, type By } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { crashAt } from '../config/failpoints.js';
import { Keys } from '../crypto/keys.js';
import type { Acr } from './assurance.js';
import { insertEnrollment } from './enrollment.queries.js';
import { RefreshSalts } from './refresh-salts.js';
import { formatRefreshToken, isGenuine, parseRefreshToken } from './refresh-token.js';
import {
  advanceRefreshCounter,
  endSession,
  endSessionsOf,
  findLiveSessionsOf,
  findRefreshState,
  insertSession,
  renewAuthentication,
  type LiveSession,
  type Refreshed,
  type RefreshState,
} from './session.queries.js';
import { TokenSigner } from './token.signer.js';

/** The tokens of a session, as they are answered. Durations in seconds. */
export interface TokenPair {
  tokenType: 'Bearer';
  accessToken: string;
  expiresIn: number;
  refreshToken: string;
  refreshExpiresIn: number;
}

export interface SignedIn {
  userId: string;
  roles: readonly string[];
  proved: readonly string[];
  amr: readonly string[];
  /** What a trusted browser stood in for. */
  trustedMethod: string | null;
  client: Client;
}

/** A refresh token that was looked up and found to be one of ours. */
export type RefreshCandidate =
  | { usable: true; sessionId: string; counter: number; state: RefreshState }
  | { usable: false; reason: 'unknown' }
  | { usable: false; reason: 'reused'; sessionId: string; userId: string };

/** Starts, rotates and ends sessions. It knows users by id only: whether one is active is asked by its callers. */
@Injectable()
export class Tokens {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly signer: TokenSigner,
    private readonly audit: Audit,
    private readonly config: Config,
    private readonly keys: Keys,
    private readonly salts: RefreshSalts,
  ) {}

  /** Starts a session. Only the sign-in pipeline may call this. */
  async startSession(
    tx: EntityManager,
    { userId, roles, proved, amr, trustedMethod, client }: SignedIn,
  ): Promise<TokenPair & { sessionId: string; acr: Acr }> {
    const { refreshIdleTtlSeconds, refreshMaxTtlSeconds, sessionsPerUser } = this.config.tokens;
    const sessionId = uuidv7();
    const refreshSalt = randomBytes(16);
    const idleSeconds = Math.min(refreshIdleTtlSeconds, refreshMaxTtlSeconds);
    const { authenticatedAt } = await insertSession(tx, {
      id: sessionId,
      userId,
      proved,
      amr,
      trustedMethod,
      refreshSalt,
      ip: client.ip,
      userAgent: client.userAgent,
      idleSeconds,
      maxSeconds: refreshMaxTtlSeconds,
      keep: sessionsPerUser,
    });
    this.salts.remember(sessionId, refreshSalt);
    const { accessToken, expiresIn, acr } = this.signer.signAccess({
      userId,
      sessionId,
      roles,
      proved,
      amr,
      authenticatedAt,
    });
    return {
      sessionId,
      acr,
      tokenType: 'Bearer',
      accessToken,
      expiresIn,
      refreshToken: formatRefreshToken(this.keys.for('refresh-token'), refreshSalt, sessionId, 0),
      refreshExpiresIn: idleSeconds,
    };
  }

  /** Makes the row and the token that open the enrollment of a second factor, and nothing else. */
  async startEnrollment(
    tx: EntityManager,
    enrollment: { userId: string; proved: readonly string[]; methods: readonly string[] },
  ): Promise<{ enrollmentToken: string; expiresIn: number }> {
    const id = uuidv7();
    const lifetimeSeconds = this.config.twoFactor.enrollmentTokenTtlSeconds;
    await insertEnrollment(tx, { id, ...enrollment, lifetimeSeconds });
    return {
      enrollmentToken: this.signer.signEnrollment(enrollment.userId, id, lifetimeSeconds),
      expiresIn: lifetimeSeconds,
    };
  }

  /**
   * Rotates a refresh token that this replica can tell to be ours by itself. Null where it cannot, and where the token is
   * not the newest of its session: `findRefreshCandidate` says what it is then.
   */
  async rotateKnown(refreshToken: string): Promise<TokenPair | null> {
    const token = parseRefreshToken(refreshToken);
    const salt = token && this.salts.recall(token.sessionId);
    if (!token || !salt || !isGenuine(token, this.keys.ring('refresh-token'), salt)) return null;
    return this.advance(token.sessionId, token.counter);
  }

  /** Looks a refresh token up without changing anything. */
  async findRefreshCandidate(refreshToken: string): Promise<RefreshCandidate> {
    const token = parseRefreshToken(refreshToken);
    const state = token && (await findRefreshState(this.db, token.sessionId));
    if (!token || !state?.live || !isGenuine(token, this.keys.ring('refresh-token'), state.refreshSalt)) {
      return { usable: false, reason: 'unknown' };
    }
    const { sessionId, counter } = token;
    if (counter === state.refreshCounter || this.isReplayInGrace(counter, state)) {
      return { usable: true, sessionId, counter, state };
    }
    return { usable: false, reason: 'reused', sessionId, userId: state.userId };
  }

  /**
   * Rotates (RFC 9700 §4.14.2). Null where the token was overtaken meanwhile: look it up again, as the one that
   * overtook it may have been the same request, repeated.
   */
  async rotate({ sessionId, counter, state }: RefreshCandidate & { usable: true }): Promise<TokenPair | null> {
    const isReplay = state.refreshCounter === counter + 1;
    return isReplay ? this.successorOf(sessionId, counter, state) : this.advance(sessionId, counter);
  }

  /** Ends the session of a refresh token; nothing happens where there is none. */
  async revoke(refreshToken: string, client: Client): Promise<void> {
    const token = parseRefreshToken(refreshToken);
    const state = token && (await findRefreshState(this.db, token.sessionId));
    if (!token || !state || !isGenuine(token, this.keys.ring('refresh-token'), state.refreshSalt)) return;
    await this.db.transaction((tx) => this.endSession(tx, token.sessionId, 'signed_out', client));
  }

  findSessionsOf(userId: string): Promise<LiveSession[]> {
    return findLiveSessionsOf(this.db, userId);
  }

  /** A user ends a session of his own; false where he has no such session. */
  endOwnSession(userId: string, sessionId: string, client: Client): Promise<boolean> {
    return this.db.transaction(async (tx) => {
      const ended = await endSession(tx, sessionId, 'ended_by_user', userId);
      const details = { reason: 'ended_by_user' };
      if (ended) await this.audit.record(tx, 'session.revoked', { userId, sessionId, client }, details);
      return ended !== null;
    });
  }

  async endOwnSessions(userId: string, client: Client): Promise<void> {
    await this.db.transaction((tx) => this.endSessionsOf(tx, userId, 'ended_by_user', { client }));
  }

  /** @returns whether it was open until now */
  async endSession(tx: EntityManager, sessionId: string, reason: string, client: Client): Promise<boolean> {
    const ended = await endSession(tx, sessionId, reason);
    if (ended) await this.audit.record(tx, 'session.revoked', { userId: ended.userId, sessionId, client }, { reason });
    return ended !== null;
  }

  /**
   * Ends every session of a user, or every one but the present, with an event for each: whoever follows sessions learns
   * which ones are gone.
   */
  async endSessionsOf(
    tx: EntityManager,
    userId: string,
    reason: string,
    by: By,
    keep: string | null = null,
  ): Promise<void> {
    const ended = await endSessionsOf(tx, userId, reason, keep);
    if (ended.length === 0) return;
    const subjects = ended.map((sessionId) => ({ userId, sessionId }));
    await this.audit.recordEach(tx, 'session.revoked', subjects, by, { reason });
  }

  /** A fresh access token after a factor was proved again; null where the session has ended meanwhile. */
  async renew(
    tx: EntityManager,
    session: {
      userId: string;
      sessionId: string;
      roles: readonly string[];
      proved: readonly string[];
      earlier: string | null;
      amr: readonly string[];
    },
  ): Promise<{ tokenType: 'Bearer'; accessToken: string; expiresIn: number } | null> {
    const renewed = await renewAuthentication(tx, session.sessionId, session);
    if (!renewed) return null;
    const { accessToken, expiresIn } = this.signer.signAccess({ ...session, authenticatedAt: renewed.authenticatedAt });
    return { tokenType: 'Bearer', accessToken, expiresIn };
  }

  private async advance(sessionId: string, counter: number): Promise<TokenPair | null> {
    const idleSeconds = this.config.tokens.refreshIdleTtlSeconds;
    const refreshed = await advanceRefreshCounter(this.db, sessionId, counter, idleSeconds);
    if (!refreshed) return null;
    this.salts.remember(sessionId, refreshed.refreshSalt);
    crashAt('refreshed-but-not-answered');
    return this.successorOf(sessionId, counter, refreshed);
  }

  private successorOf(sessionId: string, counter: number, session: Refreshed): TokenPair {
    const { accessToken, expiresIn } = this.signer.signAccess({ ...session, sessionId });
    return {
      tokenType: 'Bearer',
      accessToken,
      expiresIn,
      refreshToken: formatRefreshToken(this.keys.for('refresh-token'), session.refreshSalt, sessionId, counter + 1),
      refreshExpiresIn: session.idleSecondsLeft,
    };
  }

  /** The immediate predecessor of an unused token, shortly after: a client whose answer was lost on the way. */
  private isReplayInGrace(counter: number, state: RefreshState): boolean {
    return (
      counter + 1 === state.refreshCounter && state.secondsSinceRefresh < this.config.tokens.refreshReuseGraceSeconds
    );
  }
}
