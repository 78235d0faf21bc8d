import { Injectable } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import { IdentityRules } from '../identity-rules/identity-rules.service.js';
import { matchLocale } from '../notifications/locale.js';
import { Problem } from '../problems/problem.js';
import { resultOf, SignInPipeline } from '../sign-in/pipeline.js';
import type { SignInResult } from '../sign-in/sign-in.dto.js';
import { User } from '../users/user.entity.js';
import { markEmailVerified, newUser } from '../users/user.queries.js';
import { Users } from '../users/users.service.js';
import { nameOf } from './claims.js';
import { Identities, identityOf } from './identities.service.js';
import { IdentityProofs, type Proved } from './identity-proofs.service.js';
import type { IdentityProof } from './provider.js';
import { fillNames, findOwner, insertIdentity, lockIdentity, touchIdentity } from './social-identities.queries.js';

/** What the frontend knows besides: Apple tells it the name, once, and never us. */
export interface Names {
  firstName?: string | undefined;
  lastName?: string | undefined;
}

/** The way in by a provider. It proves who somebody is there; what follows is the pipeline's business. */
@Injectable()
export class SocialSignIn {
  constructor(
    @InjectEntityManager() private readonly db: EntityManager,
    private readonly proofs: IdentityProofs,
    private readonly identities: Identities,
    private readonly pipeline: SignInPipeline,
    private readonly users: Users,
    private readonly rules: IdentityRules,
    private readonly audit: Audit,
    private readonly config: Config,
  ) {}

  /** @throws Problem as IdentityProofs.prove; registration_closed, identity_taken, identity_refused, address_refused */
  async signIn(provider: string, proof: IdentityProof, names: Names, client: Client): Promise<SignInResult> {
    try {
      return await this.enter(withNames(await this.proofs.prove(provider, proof), names), client);
    } catch (error) {
      // Out here, where it is not rolled back with what a replay tried.
      const refused = error instanceof Problem && error.code === 'identity_not_proved';
      if (refused) await this.audit.record(this.db, 'sign-in.failed', { userId: null, client }, { reason: error.code });
      throw error;
    }
  }

  private async enter(proved: Proved, client: Client): Promise<SignInResult> {
    await this.requireAllowed(proved, client);
    const outcome = await this.db.transaction(async (tx) => {
      await lockIdentity(tx, identityOf(proved));
      await this.proofs.spend(tx, proved);
      const userId = await this.userOf(tx, proved, client);
      await fillNames(tx, userId, proved);
      return this.pipeline.decide(tx, userId, { proof: 'social' }, client);
    });
    return resultOf(outcome);
  }

  /** Whoever comes for the first time has to pass the operator's rules, before a transaction: a refusal is recorded. */
  private async requireAllowed(proved: Proved, client: Client): Promise<void> {
    if (await findOwner(this.db, identityOf(proved))) return;
    const email = verifiedEmailOf(proved)?.canonical ?? null;
    await this.rules.requireAllowed('registration', { email, ip: client.ip }, client);
  }

  /** The user of (issuer, subject). The same subject of another issuer is somebody else. */
  private async userOf(tx: EntityManager, proved: Proved, client: Client): Promise<string> {
    const owner = await findOwner(tx, identityOf(proved));
    if (!owner) return (await this.findByAddress(tx, proved, client)) ?? this.create(tx, proved, client);
    // The user before anything of his.
    await this.users.lockActive(tx, owner.userId);
    await touchIdentity(tx, identityOf(proved));
    return owner.userId;
  }

  /**
   * The account of the same address, where the operator wants that, the provider has verified the address, and so have
   * we. One of the two is not enough: whoever opens an account with a stranger's address, there or here, would share it
   * with him.
   */
  private async findByAddress(tx: EntityManager, proved: Proved, client: Client): Promise<string | null> {
    const email = verifiedEmailOf(proved);
    if (!this.config.social.linkByEmail || email === null) return null;
    const lock = { mode: 'for_no_key_update' } as const;
    const where = { emailCanonical: email.canonical, emailIdentifies: true, active: true };
    const user = await tx.findOne(User, { where, lock });
    if (!user?.emailVerifiedAt) return null;
    if (!(await insertIdentity(tx, user.id, identityOf(proved)))) throw this.taken();
    await this.identities.tellConnected(tx, user, proved, { linked: true, client });
    return user.id;
  }

  /**
   * A new account. An address that the provider has not verified is left out, whether or not it is taken: anybody can
   * type one there, and an answer that differed would tell him who has an account here.
   */
  private async create(tx: EntityManager, proved: Proved, client: Client): Promise<string> {
    if (!this.config.accounts.signupAllowed) throw new Problem('registration_closed');
    const email = verifiedEmailOf(proved);
    const user = await this.users.create(
      tx,
      newUser({
        email: email?.address ?? null,
        emailCanonical: email?.canonical ?? null,
        locale: client.locale === null ? null : matchLocale(client.locale),
      }),
      { client },
    );
    // Told, because he has proved at the provider that he reads the mailbox.
    if (!user) throw this.taken();
    if (email) await markEmailVerified(tx, user.id, email.canonical);
    await insertIdentity(tx, user.id, identityOf(proved));
    await this.audit.record(
      tx,
      'identity.connected',
      { userId: user.id, client },
      { provider: proved.provider.name, linked: false },
    );
    return user.id;
  }

  private taken(): Problem {
    return new Problem('identity_taken', {
      detail: 'An account with this e-mail address exists. Sign in to it another way, and connect the provider there.',
    });
  }
}

function verifiedEmailOf({ email }: Proved): Proved['email'] {
  return email?.verified === true ? email : null;
}

function withNames(proved: Proved, { firstName, lastName }: Names): Proved {
  return { ...proved, firstName: nameOf(firstName) || proved.firstName, lastName: nameOf(lastName) || proved.lastName };
}
