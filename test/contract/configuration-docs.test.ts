import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { renderConfigurationDocs, renderEnvExample } from '../../scripts/configuration-docs.js';
import { readSettings } from '../../src/config/env.js';
import { settings } from '../../src/config/settings.js';

const root = join(import.meta.dirname, '..', '..');
const names = Object.values(settings).flatMap(({ schema }) => Object.keys(schema.in.shape));

describe('docs/configuration.md', () => {
  it('is what is committed; `npm run generate` writes it', () => {
    expect(renderConfigurationDocs()).toBe(readFileSync(join(root, 'docs', 'configuration.md'), 'utf8'));
  });

  it('has one row for every setting', () => {
    const rows = renderConfigurationDocs().match(/^\| `[A-Z].*$/gm) ?? [];
    expect(rows.map((row) => /`([\w<>]+)`/.exec(row)?.[1])).toEqual(names);
    expect(rows.filter((row) => row.split(' | ').length !== 4)).toEqual([]);
  });

  it('marks secrets', () => {
    const secret = renderConfigurationDocs().match(/(?<=^\| `)[\w<>]+(?=` \(secret\))/gm);
    expect(secret).toEqual([
      'DATABASE_URL',
      'DATABASE_DIRECT_URL',
      'DATABASE_REPLICA_URLS',
      'REDIS_URL',
      'SECRET_KEY',
      'SECRET_KEYS_ACCEPTED',
      'PASSWORD_PEPPER',
      'ENCRYPTION_KEYS',
      'SMTP_URL',
      'TWILIO_AUTH_TOKEN',
      'SIGNING_KEY',
      'SOCIAL_GOOGLE_CLIENT_SECRET',
      'SOCIAL_FACEBOOK_CLIENT_SECRET',
      'SOCIAL_APPLE_CLIENT_SECRET',
      'SOCIAL_APPLE_PRIVATE_KEY',
      'OIDC_<NAME>_CLIENT_SECRET',
      'METRICS_TOKEN',
    ]);
  });
});

describe('.env.example', () => {
  it('is what is committed; `npm run generate` writes it', () => {
    expect(renderEnvExample()).toBe(readFileSync(join(root, '.env.example'), 'utf8'));
  });

  it('changes nothing when it is copied', () => {
    expect(parseEnv(renderEnvExample())).toEqual({});
  });

  it('shows the defaults: with every line uncommented the service is configured the same', () => {
    const uncommented = parseEnv(renderEnvExample().replace(/^#(?=[A-Z])/gm, ''));
    expect(Object.keys(uncommented).toSorted()).toEqual(names.toSorted());
    expect(readSettings(uncommented)).toEqual(readSettings({}));
  });
});
