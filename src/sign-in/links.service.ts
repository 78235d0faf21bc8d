import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import type { Client } from '../audit/client.js';
import { Problem } from '../problems/problem.js';
import { markEmailVerified } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import { consumeLink, findOpenLink, type LinkPurpose } from './links.queries.js';
import { resultOf, SignInPipeline } from './pipeline.js';
import { linkHash } from './sent-proofs.service.js';
import type { SignInResult } from './sign-in.dto.js';

/** What a link that was sent is good for. Only a POST uses it up: mail scanners follow links with GET. */
@Injectable()
export class Links {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly pipeline: SignInPipeline,
    private readonly users: Users,
  ) {}

  /** @throws Problem invalid_link */
  async redeem(token: string, client: Client): Promise<SignInResult> {
    const outcome = await this.db.transaction(async (tx) => {
      const userId = await this.consume(tx, 'magic_link', token);
      await this.proveAddress(tx, userId);
      return this.pipeline.decide(tx, userId, { proof: 'email' }, client);
    });
    return resultOf(outcome);
  }

  /** Whose a link is that can still be used; nothing happens to it. */
  async findOwner(purpose: LinkPurpose, token: string): Promise<string | null> {
    return (await findOpenLink(this.db, purpose, linkHash(purpose, token)))?.userId ?? null;
  }

  /**
   * Uses a link up, in the transaction of what it is good for.
   * @returns whose it was
   * @throws Problem invalid_link
   */
  async consume(tx: EntityManager, purpose: LinkPurpose, token: string): Promise<string> {
    const tokenHash = linkHash(purpose, token);
    const open = await findOpenLink(tx, purpose, tokenHash);
    // The user before anything of his, here and everywhere: in two orders two requests could wait for each other.
    const user = open && (await this.users.lockActive(tx, open.userId));
    const link = user && (await consumeLink(tx, purpose, tokenHash));
    if (!link) throw new Problem('invalid_link');
    return link.userId;
  }

  /** Whoever opened the link reads the mailbox. */
  async proveAddress(tx: EntityManager, userId: string): Promise<void> {
    const user = await this.users.getActive(userId, tx);
    if (user.emailCanonical !== null) await markEmailVerified(tx, userId, user.emailCanonical);
  }
}
