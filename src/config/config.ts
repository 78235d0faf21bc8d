import type { z } from 'zod';
import type { settings, SettingsGroup } from './settings.js';

/** What the environment says, parsed. */
export type Settings = { readonly [G in SettingsGroup]: Readonly<z.output<(typeof settings)[G]['schema']>> };

/** What the running service works with: the settings, completed by what the first start generated. */
export abstract class Config implements Settings {
  abstract readonly server: Settings['server'] & {
    readonly publicUrl: string;
    /** The path of PUBLIC_URL, below which a gateway serves everything of ours; empty where it is the root. */
    readonly basePath: string;
  };
  abstract readonly storage: Settings['storage'] & {
    readonly databaseUrl: string;
    /** The same database past any pooler, for what needs a connection of its own. */
    readonly directUrl: string;
  };
  abstract readonly secrets: Settings['secrets'] & { readonly secretKey: string };
  abstract readonly mail: Settings['mail'];
  abstract readonly sms: Settings['sms'];
  abstract readonly codes: Settings['codes'];
  abstract readonly twoFactor: Settings['twoFactor'];
  abstract readonly tokens: Settings['tokens'] & { readonly issuer: string };
  abstract readonly accounts: Settings['accounts'];
  abstract readonly invitations: Settings['invitations'];
  abstract readonly identityRules: Settings['identityRules'];
  abstract readonly limits: Settings['limits'];
  abstract readonly social: Settings['social'];
  abstract readonly gateway: Settings['gateway'];
  abstract readonly webhooks: Settings['webhooks'];
  abstract readonly audit: Settings['audit'];
  abstract readonly metrics: Settings['metrics'];
}

/** Completes the settings; absent URLs follow from the address that is listened on. */
export function completeConfig(parsed: Settings, generated: { databaseUrl: string; secretKey: string }): Config {
  const { server, tokens } = parsed;
  const host = ['127.0.0.1', '0.0.0.0', '::', '::1'].includes(server.host) ? 'localhost' : server.host;
  const publicUrl = server.publicUrl ?? `http://${host}:${server.port}`;
  return {
    ...parsed,
    server: { ...server, publicUrl, basePath: new URL(publicUrl).pathname.replace(/\/+$/, '') },
    storage: {
      ...parsed.storage,
      databaseUrl: generated.databaseUrl,
      directUrl: parsed.storage.directUrl ?? generated.databaseUrl,
    },
    secrets: { ...parsed.secrets, secretKey: generated.secretKey },
    sms: { ...parsed.sms, driver: smsDriverOf(parsed) },
    tokens: { ...tokens, issuer: tokens.issuer ?? publicUrl },
  };
}

/** Who sends text messages; null where nobody does. Outside production the outbox stands in. */
export function smsDriverOf({ sms, server }: Settings): Settings['sms']['driver'] {
  return sms.driver ?? (server.production ? null : 'outbox');
}
