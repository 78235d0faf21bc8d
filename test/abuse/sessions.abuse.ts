import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { totpCode } from '../support/authenticator.js';
import { inviteAndRead } from '../support/invitations.js';
import { magicLink, resetLink, tokenOf } from '../support/links.js';
import {
  administrator,
  enrollTotp,
  firstFactor,
  PASSWORD,
  personWithTotp,
  register,
  secondFactor,
  signInByMail,
  signInByTotp,
  type Authenticator,
  type Person,
  type SignedIn,
} from '../support/people.js';
import { countOf, outcomes, type Hit, type Shot } from '../security/burst.js';
import { eventsOf, sessionsOf } from '../security/traces.js';
import { Invariants } from './invariants.js';
import { race, rounds, times } from './race.js';
import { startReplicas, type Replicas } from './replicas.js';

type Pair = Pick<SignedIn, 'accessToken' | 'refreshToken'>;

const AFTER_GRACE_S = 11;

let service: Replicas;
let invariants: Invariants;
let owner: Person & Authenticator & { session: SignedIn };
beforeAll(async () => {
  service = await startReplicas({ CODE_TOKEN_MAX_ACTIVE: 'off', SESSIONS_PER_USER: '200' });
  invariants = new Invariants(service);
  owner = await personWithTotp(service);
});
afterEach(() => invariants.expectAll());
afterAll(() => service.close());

const refresh = (refreshToken: string): Shot => ({ path: '/auth/token/refresh', body: { refreshToken } });
const revoke = (refreshToken: string): Shot => ({ path: '/auth/token/revoke', body: { refreshToken } });

/** Nothing opens with it, at either replica. */
async function expectWorthless({ accessToken, refreshToken }: Pair): Promise<void> {
  for (const origin of service.origins) {
    const headers = { authorization: `Bearer ${accessToken}` };
    for (const url of ['/api/v1/users/me', '/api/v1/auth/forward']) {
      expect((await service.wire({ url, headers, origin })).status).toBe(401);
    }
    expect(await post(origin, '/auth/token/verify', { token: accessToken })).toMatchObject({
      text: '{"active":false}',
    });
    expect(await post(origin, '/auth/token/refresh', { refreshToken })).toMatchObject({ status: 401 });
  }
}

const post = (origin: string, path: string, body: unknown) =>
  service.wire({
    method: 'POST',
    url: `/api/v1${path}`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    origin,
  });

describe('a refresh token', () => {
  it('R19 used twenty times at once has one successor', async () => {
    for (const round of rounds()) {
      const session = await signInByTotp(service, owner);
      const hits = await race(service, round, times(20, refresh(session.refreshToken)));
      expect(countOf(hits, 200), JSON.stringify(outcomes(hits))).toBe(20);
      const [successor = '', ...others] = new Set(hits.map(({ body }) => String(body['refreshToken'])));
      expect(others).toEqual([]);
      const next = await race(service, round, [refresh(successor)]);
      expect(countOf(next, 200)).toBe(1);
    }
  });

  it('R20 that comes back after the grace, twenty times at once, ends its session once, and the owner is told once', async () => {
    for (const round of rounds(0.5)) {
      const session = await signInByTotp(service, owner);
      const [successor] = await race(service, round, [refresh(session.refreshToken)]);
      await service.clock.advance(AFTER_GRACE_S);
      const before = await eventsOf(service, owner.id, 'session.revoked');
      const hits = await race(service, round, times(20, refresh(session.refreshToken)));
      expect(countOf(hits, 401), JSON.stringify(outcomes(hits))).toBe(20);
      expect(await eventsOf(service, owner.id, 'session.revoked')).toBe(before + 1);
      await expectWorthless(session);
      await expectWorthless(successor?.body as unknown as Pair);
    }
    const notices = () => service.mailbox.all(owner.email).filter(({ subject }) => /sessions was ended/.test(subject));
    await expect.poll(notices, { timeout: 8_000 }).toHaveLength(rounds(0.5).length);
  });

  it('R20 that comes back within the grace, after its successor was used, ends its session too', async () => {
    const session = await signInByTotp(service, owner);
    const [successor] = await race(service, 0, [refresh(session.refreshToken)]);
    const { body: latest } = await service.http.post<Pair>('/auth/token/refresh', {
      refreshToken: successor?.body['refreshToken'],
    });
    const hits = await race(service, 0, times(5, refresh(session.refreshToken)));
    expect(countOf(hits, 401)).toBe(5);
    await expectWorthless(latest);
  });
});

describe('R21 whatever a refresh was given while its session was being ended is worthless', () => {
  const ways: Record<string, (session: SignedIn) => Promise<Shot>> = {
    'by signing out': async ({ refreshToken }) => revoke(refreshToken),
    'by a new password': async () => {
      const { accessToken: token } = await signInByTotp(service, owner);
      return { path: '/users/me/password', body: { currentPassword: PASSWORD, newPassword: PASSWORD }, token };
    },
    'by an administrator': async () => {
      const { token } = await administrator(service);
      return { method: 'DELETE', path: `/admin/users/${owner.id}/sessions`, token };
    },
  };

  it.each(Object.keys(ways))('%s', async (name) => {
    for (const round of rounds(name === 'by signing out' ? 1 : 0.25)) {
      const session = await signInByTotp(service, owner);
      const ending = await (ways[name] as (typeof ways)[string])(session);
      const [ended, ...refreshed] = await race(service, round, [ending, ...times(6, refresh(session.refreshToken))]);
      expect(ended?.status, JSON.stringify(ended?.body)).toBeLessThan(300);
      await expectWorthless(session);
      for (const hit of refreshed.filter(({ status }) => status === 200)) {
        await expectWorthless(hit.body as unknown as Pair);
      }
    }
  });

  it('T10 by the deactivation of the account, and by its removal', async () => {
    for (const round of rounds(0.25)) {
      const person = await personWithTotp(service);
      const { token } = await administrator(service);
      const { body: open } = await firstFactor(service, person.email);
      const ending: Shot =
        round % 2 === 0
          ? { method: 'PATCH', path: `/admin/users/${person.id}`, body: { active: false }, token }
          : { method: 'DELETE', path: `/admin/users/${person.id}`, token };
      const shots = [ending, ...times(6, refresh(person.session.refreshToken))];
      const [ended, ...refreshed] = await race(service, round, shots);
      expect(ended?.status, JSON.stringify(ended?.body)).toBeLessThan(300);
      for (const each of [
        person.session,
        ...refreshed.filter(({ status }) => status === 200).map(({ body }) => body),
      ]) {
        await expectWorthless(each as unknown as Pair);
      }
      const late = await secondFactor(service, open.codeToken, totpCode(person.secret, service.clock));
      expect(late.status).toBe(401);
    }
  });
});

describe('a change of the password', () => {
  it('T11 has ended every other session, code token and link before it answers', async () => {
    const person = await personWithTotp(service);
    const [mine, other] = [await signInByTotp(service, person), await signInByTotp(service, person)];
    const { body: open } = await firstFactor(service, person.email);
    const link = tokenOf(await magicLink(service, person.email));
    const body = { currentPassword: PASSWORD, newPassword: 'four more uncommon words' };
    const changed = await service.http.post('/users/me/password', body, { token: mine.accessToken });
    expect(changed.status).toBe(204);
    await expectWorthless(other);
    await expectWorthless(person.session);
    const late = await secondFactor(service, open.codeToken, totpCode(person.secret, service.clock));
    expect([late.status, late.body]).toMatchObject([401, { code: 'token_expired' }]);
    expect((await service.http.post('/auth/magic-link/redeem', { token: link })).status).toBe(400);
    expect((await service.http.get('/users/me', { token: mine.accessToken })).status).toBe(200);
  });
});

describe('signing out', () => {
  it('T18 twenty times at once is signing out once, and ends nothing else', async () => {
    const [gone, kept] = [await signInByTotp(service, owner), await signInByTotp(service, owner)];
    const before = await eventsOf(service, owner.id, 'session.revoked');
    const hits = await race(service, 1, times(20, revoke(gone.refreshToken)));
    expect(countOf(hits, 204)).toBe(20);
    expect(await eventsOf(service, owner.id, 'session.revoked')).toBe(before + 1);
    await expectWorthless(gone);
    expect((await service.http.get('/users/me', { token: kept.accessToken })).status).toBe(200);
  });

  it('T18 an access token from before a step-up is worth nothing after it', async () => {
    const session = await signInByTotp(service, owner);
    const code = totpCode(owner.secret, service.clock);
    const stepped = await service.http.post<Pair>('/auth/step-up', { code }, { token: session.accessToken });
    expect(stepped.status).toBe(200);
    expect((await service.http.get('/users/me', { token: session.accessToken })).status).toBe(401);
    expect((await service.http.get('/users/me', { token: stepped.body.accessToken })).status).toBe(200);
    await service.clock.advance(30);
  });
});

describe('what exists once', () => {
  const shown = (hits: readonly Hit[]) => hits.filter(({ body }) => 'recoveryCodes' in body).length;

  it('R22 a device confirmed ten times at once is confirmed once, and its recovery codes are shown once', async () => {
    for (const round of rounds(0.25)) {
      const person = await register(service);
      const { accessToken: token } = await signInByMail(service, person);
      const created = await service.http.post<{ id: string; secret: string }>(
        '/otp-devices',
        { type: 'totp' },
        { token },
      );
      const code = totpCode(created.body.secret, service.clock);
      const shot = { path: `/otp-devices/${created.body.id}/confirm`, body: { code }, token };
      const hits = await race(service, round, times(10, shot));
      expect([countOf(hits, 200), shown(hits)], JSON.stringify(outcomes(hits))).toEqual([1, 1]);
    }
  });

  it('R22 of the last two devices, removed at once, one stays', async () => {
    for (const round of rounds(0.25)) {
      const person = await register(service);
      const { accessToken: token } = await signInByMail(service, person);
      await enrollTotp(service, token);
      const devices = await service.sql<{ id: string }>(
        `SELECT id FROM otp_devices WHERE user_id = $1 AND type <> 'recovery_codes'`,
        [person.id],
      );
      expect(devices).toHaveLength(2);
      const removal = ({ id }: { id: string }): Shot => ({ method: 'DELETE', path: `/otp-devices/${id}`, token });
      const hits = await race(service, round, [...devices.map(removal), ...devices.map(removal)]);
      expect(countOf(hits, 204), JSON.stringify(outcomes(hits))).toBe(1);
      const left = await service.sql(
        `SELECT 1 FROM otp_devices WHERE user_id = $1 AND type <> 'recovery_codes' AND confirmed_at IS NOT NULL`,
        [person.id],
      );
      expect(left).toHaveLength(1);
    }
  });

  it('R22 an invitation accepted ten times at once makes one account', async () => {
    const { accessToken: token } = await signInByTotp(service, owner);
    for (const round of rounds(0.25)) {
      const email = `invited-${round}@example.com`;
      const invitation = await inviteAndRead(service, token, email);
      const shot = { path: '/invitations/accept', body: { token: invitation.token, password: PASSWORD } };
      const hits = await race(service, round, times(10, shot));
      expect(outcomes(hits)).toEqual({ '200': 1, '400 invalid_invitation': 9 });
      expect(await service.sql('SELECT 1 FROM users WHERE email = $1', [email])).toHaveLength(1);
    }
  });

  it('R23 a magic link redeemed ten times at once signs in once', async () => {
    for (const round of rounds(0.5)) {
      await service.clock.advance(3600);
      const token = tokenOf(await magicLink(service, owner.email));
      const hits = await race(service, round, times(10, { path: '/auth/magic-link/redeem', body: { token } }));
      expect(outcomes(hits)).toEqual({ '200': 1, '400 invalid_link': 9 });
    }
  });

  it('R23 a reset link used ten times at once sets one password', async () => {
    for (const round of rounds(0.25)) {
      const person = await register(service);
      const token = tokenOf(await resetLink(service, person.email));
      const passwords = Array.from({ length: 10 }, (_, index) => `uncommon words in number ${index}`);
      const shots = passwords.map((newPassword) => ({
        path: '/auth/password-reset/confirm',
        body: { token, newPassword },
      }));
      const hits = await race(service, round, shots);
      expect(outcomes(hits)).toEqual({ '204': 1, '400 invalid_link': 9 });
      const winner = passwords[hits.findIndex(({ status }) => status === 204)] as string;
      expect((await firstFactor(service, person.email, winner)).status).toBe(200);
      expect(await sessionsOf(service, person.id)).toBe(0);
    }
  });
});
