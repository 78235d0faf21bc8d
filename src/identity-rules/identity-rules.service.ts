import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Audit } from '../audit/audit.service.js';
import type { Client } from '../audit/client.js';
import { Config } from '../config/config.js';
import type { RulePurpose } from '../config/identity-rule.js';
import { Problem } from '../problems/problem.js';
import { disposableDomains } from './disposable-domains.js';
import { Honeypot } from './honeypot.js';
import { compileRules, judge, type Named, type NamedField, type Rule } from './judge.js';

/** The operator's list of who may come in and whom codes are sent to. */
@Injectable()
export class IdentityRules implements OnModuleInit {
  private rules: readonly Rule[] = [];

  constructor(
    private readonly config: Config,
    private readonly honeypot: Honeypot,
    private readonly audit: Audit,
    @InjectEntityManager() private readonly db: EntityManager,
  ) {}

  async onModuleInit(): Promise<void> {
    const { rules } = this.config.identityRules;
    this.rules = compileRules(rules, await disposableDomains(rules));
  }

  /**
   * Before anything is sent, hashed or stored, and outside of a transaction: the audit event of a refusal stays.
   * @throws Problem identity_refused, address_refused
   */
  async requireAllowed(purpose: RulePurpose, named: Named, client?: Client): Promise<void> {
    const field = await this.refusedField(this.db, purpose, named, client);
    if (field === null) return;
    if (field === 'ip') throw new Problem('address_refused');
    // Without the pattern: it would tell how to get around it.
    throw new Problem('identity_refused', { errors: [{ field, messages: ['is not accepted here; use another'] }] });
  }

  /** The same for whoever must not be told. Inside a transaction pass it as `db`. */
  async allows(purpose: RulePurpose, named: Named, db: EntityManager = this.db): Promise<boolean> {
    return (await this.refusedField(db, purpose, named)) === null;
  }

  /** Somebody filled in the field of a registration that people do not see: a program, which will come back. */
  touchHoneypot(client: Client): Promise<void> {
    return this.honeypot.touch(client);
  }

  private async refusedField(
    db: EntityManager,
    purpose: RulePurpose,
    named: Named,
    client?: Client,
  ): Promise<NamedField | null> {
    const refusal = await this.refusalOf(db, purpose, named);
    if (refusal) await this.audit.record(db, 'identity.refused', { userId: null, client }, { purpose, ...refusal });
    return refusal?.field ?? null;
  }

  private async refusalOf(
    db: EntityManager,
    purpose: RulePurpose,
    named: Named,
  ): Promise<{ field: NamedField; rule: string } | null> {
    const { allowed, by, field } = judge(this.rules, purpose, named);
    if (!allowed && by && field) return { field, rule: by.text };
    if (!named.ip || !(await this.honeypot.refuses(db, named.ip))) return null;
    // Behind one address may be a whole office: an entry that allows it gets it out.
    return judge(this.rules, purpose, { ip: named.ip }).by ? null : { field: 'ip', rule: 'honeypot' };
  }
}
