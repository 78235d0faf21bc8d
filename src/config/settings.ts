import { accounts } from './settings/accounts.js';
import { audit } from './settings/audit.js';
import { codes } from './settings/codes.js';
import { gateway } from './settings/gateway.js';
import { identityRules } from './settings/identity-rules.js';
import { invitations } from './settings/invitations.js';
import { limits } from './settings/limits.js';
import { mail } from './settings/mail.js';
import { metrics } from './settings/metrics.js';
import { secrets } from './settings/secrets.js';
import { server } from './settings/server.js';
import { sms } from './settings/sms.js';
import { social } from './settings/social.js';
import { storage } from './settings/storage.js';
import { tokens } from './settings/tokens.js';
import { twoFactor } from './settings/two-factor.js';
import { webhooks } from './settings/webhooks.js';

/**
 * One schema a feature. The key is the name in the environment; `describe` is its row in
 * docs/configuration.md and .env.example, which are generated from here.
 */
export const settings = {
  server,
  storage,
  secrets,
  mail,
  sms,
  codes,
  twoFactor,
  tokens,
  accounts,
  invitations,
  identityRules,
  limits,
  social,
  gateway,
  webhooks,
  audit,
  metrics,
} as const;

export type SettingsGroup = keyof typeof settings;
