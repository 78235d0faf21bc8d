import { Injectable, Logger } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import { createHash, randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { Problem } from '../problems/problem.js';
import {
  NotProvedError,
  ProviderAwayError,
  type IdentityProof,
  type IdentityProvider,
  type ProvedIdentity,
} from './provider.js';
import { Providers } from './providers.js';
import { consumeNonce, insertNonce, isOpenNonce, spendAccessToken } from './social-proofs.queries.js';

/** Seconds from the first click to the way back from the provider. */
const NONCE_TTL = 600;
/** Seconds that an access token is remembered past its end, for clocks that differ. */
const MARGIN = 300;
/** Seconds. */
const RETRY_AFTER = 10;

/** A nonce is a secret of the browser that began. The provider gets its hash, so an ID token does not give it away. */
export interface Nonce {
  nonce: string;
  nonceHash: string;
  expiresIn: number;
}

/** Who somebody is at a provider, and what must be used up for it: nothing has been yet. */
export interface Proved extends ProvedIdentity {
  provider: IdentityProvider;
  proof: IdentityProof;
}

/** Asks providers who somebody is. What they say is good for one sign-in, whoever sends it again. */
@Injectable()
export class IdentityProofs {
  private readonly logger = new Logger('Social');

  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly providers: Providers,
    private readonly config: Config,
  ) {}

  /** @throws Problem not_found */
  async issueNonce(provider: string): Promise<Nonce> {
    const { name } = this.get(provider);
    const nonce = randomBytes(32).toString('base64url');
    const hash = nonceHash(name, nonce);
    await insertNonce(this.db, { provider: name, hash, ttlSeconds: NONCE_TTL });
    return { nonce, nonceHash: hash.toString('base64url'), expiresIn: NONCE_TTL };
  }

  /**
   * Where a browser is sent to.
   * @throws Problem not_found, redirect_not_allowed, identity_proof_not_accepted, provider_unavailable
   */
  async begin(
    name: string,
    wanted: { redirectUri: string; codeChallenge: string; state: string | null },
  ): Promise<{ url: string; nonce: string; expiresIn: number }> {
    const provider = this.get(name);
    if (!provider.accepts.includes('code')) throw new Problem('identity_proof_not_accepted');
    this.requireAllowedRedirect(wanted.redirectUri);
    const { nonce, nonceHash: hash, expiresIn } = await this.issueNonce(name);
    const url = await this.ask(provider, () => provider.authorizationUrl({ ...wanted, nonce: hash }));
    if (url === null) throw new Problem('identity_proof_not_accepted');
    return { url, nonce, expiresIn };
  }

  /**
   * Outside of every transaction: a provider may take seconds.
   * @throws Problem not_found, identity_proof_not_accepted, redirect_not_allowed, identity_not_proved, provider_unavailable
   */
  async prove(name: string, proof: IdentityProof): Promise<Proved> {
    const provider = this.get(name);
    if (!provider.accepts.includes(proof.kind)) throw new Problem('identity_proof_not_accepted');
    if (proof.kind === 'code') this.requireAllowedRedirect(proof.redirectUri);
    const hash = proof.kind === 'accessToken' ? null : nonceHash(provider.name, proof.nonce);
    try {
      // Before the provider is asked: without a nonce of ours nobody can make this service ask on and on.
      if (hash !== null && !(await isOpenNonce(this.db, provider.name, hash))) {
        throw new NotProvedError('the nonce is not open');
      }
      const identity = await this.ask(provider, () => provider.prove(proof, hash?.toString('base64url') ?? null));
      return { ...identity, provider, proof };
    } catch (error) {
      if (!(error instanceof NotProvedError)) throw error;
      this.logger.log(`${provider.name}: ${error.message}`);
      throw new Problem('identity_not_proved');
    }
  }

  /**
   * Uses up what was brought, in the transaction of what it is good for: a replay finds nothing left.
   * @throws Problem identity_not_proved
   */
  async spend(tx: EntityManager, { provider: { name: provider }, proof, accessTokenExpiresIn }: Proved): Promise<void> {
    const spent =
      proof.kind === 'accessToken'
        ? await spendAccessToken(tx, {
            provider,
            hash: createHash('sha256').update(`access-token\0${provider}\0${proof.accessToken}`).digest(),
            keepSeconds: (accessTokenExpiresIn ?? 0) + MARGIN,
          })
        : await consumeNonce(tx, provider, nonceHash(provider, proof.nonce));
    if (!spent) throw new Problem('identity_not_proved');
  }

  private get(name: string): IdentityProvider {
    const provider = this.providers.find(name);
    if (!provider) throw new Problem('not_found');
    return provider;
  }

  /** Compared as a whole: to a place that only begins like one of ours, the code would go to somebody else. */
  private requireAllowedRedirect(redirectUri: string): void {
    if (this.config.server.redirectAllowlist.includes(redirectUri)) return;
    throw new Problem('redirect_not_allowed', {
      detail: 'redirectUri must be exactly one of the addresses that the operator allows (REDIRECT_ALLOWLIST).',
    });
  }

  private async ask<T>({ name }: IdentityProvider, question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      if (!(error instanceof ProviderAwayError)) throw error;
      this.logger.warn(`${name}: ${error.message}`);
      throw new Problem('provider_unavailable', { retryAfter: RETRY_AFTER });
    }
  }
}

/** 256 random bits need no keyed hash. The provider in it keeps the nonce of one from passing at another. */
function nonceHash(provider: string, nonce: string): Buffer {
  return createHash('sha256').update(`${provider}\0${nonce}`).digest();
}
