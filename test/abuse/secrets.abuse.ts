import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { magicLink, resetLink, tokenOf } from '../support/links.js';
import { firstFactor, PASSWORD, personWithTotp, register, secondFactor, type SignedIn } from '../support/people.js';
import { dumpOf, Invariants } from './invariants.js';
import { startReplicas, type Replicas } from './replicas.js';

let service: Replicas;
let invariants: Invariants;
beforeAll(async () => {
  service = await startReplicas({ CODE_TOKEN_RETRY_WAIT: 'off', TRUSTED_BROWSER_TTL: '30d' });
  invariants = new Invariants(service);
});
afterAll(() => service.close());

const output = () => service.processes.map((process) => process.output()).join('\n');

describe('every flow, and every failure of it', () => {
  it('S01 leaves no secret in the log or in the database, not even where the database fails in the middle', async () => {
    const person = await personWithTotp(service);
    const other = await register(service);
    const { body: asked } = await firstFactor(service, other.email);
    await secondFactor(service, asked.codeToken, 'WRONGWRONG');
    const code = await service.mailbox.code(other.email);
    const { body: session } = await secondFactor<SignedIn>(service, asked.codeToken, code, { trustBrowser: true });
    await service.http.post('/auth/token/refresh', { refreshToken: session.refreshToken });
    await service.clock.advance(61);
    await service.http.post('/auth/magic-link/redeem', { token: tokenOf(await magicLink(service, other.email)) });
    await service.clock.advance(61);
    const newPassword = 'canary-of-a-new-password';
    await service.http.post('/auth/password-reset/confirm', {
      token: tokenOf(await resetLink(service, other.email)),
      newPassword,
    });

    const credentials = JSON.stringify({ identifier: person.email, password: PASSWORD });
    for (const [table, url, body] of [
      ['users', '/api/v1/auth/token', credentials],
      ['challenges', '/api/v1/auth/token', credentials],
      ['sessions', '/api/v1/auth/token/refresh', JSON.stringify({ refreshToken: person.session.refreshToken })],
      ['otp_devices', '/api/v1/auth/token/second-factor', JSON.stringify({ codeToken: asked.codeToken, code })],
    ] as const) {
      await service.sql(`ALTER TABLE ${table} RENAME TO ${table}_away`);
      const { status, text } = await post(url, body);
      await service.sql(`ALTER TABLE ${table}_away RENAME TO ${table}`);
      expect(status, `${url} without ${table}`).toBe(500);
      expect(text).not.toMatch(/relation|SELECT|away|\.js/);
    }
    for (const body of [`{"password":"${newPassword}"`, `"${newPassword}"`, JSON.stringify({ [newPassword]: 1 })]) {
      expect((await post('/api/v1/auth/token', body)).status).toBe(400);
    }
    for (const url of [`/api/v1/users/me?access_token=${session.accessToken}`, `/api/v1/${newPassword}`]) {
      await service.wire({ url });
    }

    // Whoever looks for nothing finds nothing: the failures are in the log, and a secret would be seen.
    expect(output()).toContain('internal_error');
    expect(service.ledger.numberOfSecrets).toBeGreaterThan(40);
    expect(service.ledger.leaksIn(`before ${PASSWORD} after`)).not.toEqual([]);
    await invariants.expectSecretsStaySecret();
  });

  it('S02 leaves hashes, sealed secrets and nothing else in a dump', async () => {
    const dump = new Map((await dumpOf(service)).map(({ name, text }) => [name, text]));
    expect(dump.get('public.users')).toContain('$argon2id$v=19$m=19456,t=2,p=1$');
    expect(dump.get('public.otp_devices')).toMatch(/,v1\.[\w-]{1,16}\.[\w-]{40,}/);
    expect(dump.get('public.signing_keys')).toMatch(/v1\.[\w-]{1,16}\.[\w-]{40,}/);
    const hashes = await service.sql<{ bytes: number }>(
      'SELECT octet_length(code_hash) AS bytes FROM challenges WHERE code_hash IS NOT NULL',
    );
    expect(hashes.length).toBeGreaterThan(0);
    expect(new Set(hashes.map(({ bytes }) => bytes))).toEqual(new Set([32]));
  });
});

describe('what is drawn by chance', () => {
  it('S07 is long enough and never the same: secrets of apps, refresh tokens, links', async () => {
    const owner = await personWithTotp(service);
    const token = owner.session.accessToken;
    const secrets = new Set<string>();
    for (let index = 0; index < 200; index += 1) {
      const { body } = await service.http.post<{ secret: string }>('/otp-devices', { type: 'totp' }, { token });
      // 160 bits (RFC 4226 §4) in base32.
      expect(body.secret).toMatch(/^[A-Z2-7]{32}$/);
      secrets.add(body.secret);
    }
    expect(secrets.size).toBe(200);
    const letters = [...secrets].join('');
    const counts = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'].map((letter) => letters.split(letter).length - 1);
    const expected = letters.length / 32;
    // 31 degrees of freedom: past 75 less than once in 50 000 tries.
    expect(counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)).toBeLessThan(75);

    const tokens = new Set<string>();
    let { refreshToken } = owner.session;
    for (let index = 0; index < 50; index += 1) {
      const { body } = await service.http.post<SignedIn>('/auth/token/refresh', { refreshToken });
      ({ refreshToken } = body);
      tokens.add(refreshToken);
    }
    expect(tokens.size).toBe(50);
    await service.clock.advance(61);
    expect(Buffer.from(tokenOf(await magicLink(service, owner.email)), 'base64url').length).toBeGreaterThanOrEqual(32);
  });
});

const post = (url: string, body: string) =>
  service.wire({ method: 'POST', url, headers: { 'content-type': 'application/json' }, body });
