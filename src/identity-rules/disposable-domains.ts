import type { IdentityRule } from '../config/identity-rule.js';

/** Domains of mailboxes that anybody gets for ten minutes. Loaded, with 2 MB, only where an entry asks for them. */
export async function disposableDomains(rules: readonly IdentityRule[]): Promise<ReadonlySet<string>> {
  if (!rules.some(({ subject, pattern }) => subject === 'email-domain' && pattern === 'disposable')) return new Set();
  const { disposableEmailBlocklistSet } = await import('disposable-email-domains-js');
  return disposableEmailBlocklistSet();
}
