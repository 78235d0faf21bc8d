import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { SystemClock } from '../../src/clock/clock.js';
import { TEST_SECRET } from '../support/app.js';
import { totpCode } from '../support/authenticator.js';
import { administer, urlOf } from '../support/global-setup.js';
import { Http } from '../support/http.js';
import { MailServer } from '../support/mail-server.js';
import { PASSWORD, type Asked, type SignedIn } from '../support/people.js';
import { REPOSITORY, startProcess, type ServerProcess } from '../support/server-process.js';
import { hasPgBouncer, LIMITS, startPgBouncer, type PgBouncer } from './pgbouncer.js';

// Real: PgBouncer with three connections to PostgreSQL, two replicas of the built service as processes, the mail server.
// Time is real too: a shifted one would come by a parameter of the connection, which PgBouncer does not pass on.

const clock = new SystemClock();
/** Milliseconds: each start applies every migration. */
const START_PATIENCE = 120_000;

interface Person {
  email: string;
  session: SignedIn;
  secret: string;
}

/** Two replicas of the service behind one PgBouncer, on an empty database. */
class Pooled {
  private constructor(
    readonly here: Http,
    readonly there: Http,
    readonly mails: MailServer,
    readonly log: () => string,
    readonly sql: (statement: string) => Promise<unknown[]>,
    readonly close: () => Promise<void>,
  ) {}

  static async start(settingsOf: (direct: string) => Record<string, string>, limits?: string): Promise<Pooled> {
    const name = `countersign_pooled_${randomBytes(6).toString('hex')}`;
    const server = inject('postgresUrl');
    await administer(server, `CREATE DATABASE ${name}`);
    const direct = urlOf(server, name);
    const pooler: PgBouncer = await startPgBouncer(direct, limits === undefined ? {} : { limits });
    const mails = await MailServer.create();
    await mails.start();
    const environment = {
      NODE_ENV: 'production',
      SECRET_KEY: TEST_SECRET,
      PUBLIC_URL: 'https://id.example.test',
      SMTP_URL: `smtp://127.0.0.1:${mails.port}`,
      THROTTLE_SIGN_IN_PER_IP: 'off',
      THROTTLE_SEND_PER_IP: 'off',
      THROTTLE_OVERALL_PER_IP: 'off',
      DATABASE_URL: pooler.urlOf(direct),
      ...settingsOf(direct),
    };
    // Together: both want to migrate.
    const replicas = await Promise.all([startProcess(environment), startProcess(environment)]);
    const [here, there] = replicas.map(clientOf);
    const pool = new pg.Pool({ connectionString: direct, max: 1 });
    // Its connection may still be closing when the database is dropped; what it says of it then, the pool says.
    pool.on('error', () => undefined);
    if (!here || !there) throw new Error('There are two');
    return new Pooled(
      here,
      there,
      mails,
      () => replicas.map(({ output }) => output()).join('\n'),
      async (statement) => (await pool.query<Record<string, unknown>>(statement)).rows,
      async () => {
        await Promise.all(replicas.map((replica) => replica.end('SIGTERM')));
        await pool.end();
        await pooler.stop();
        await mails.stop();
        await administer(server, `DROP DATABASE ${name} WITH (FORCE)`);
      },
    );
  }

  /** Registers somebody, who signs in by mail and enrolls an app. */
  async newcomer(): Promise<Person> {
    const email = `person-${randomBytes(5).toString('hex')}@example.com`;
    expect((await this.here.post('/users', { email, password: PASSWORD })).status).toBe(201);
    const asked = await this.here.post<Asked>('/auth/token', { identifier: email, password: PASSWORD });
    const code = await this.codeIn(email);
    const { codeToken } = asked.body;
    const { body: session } = await this.there.post<SignedIn>('/auth/token/second-factor', { codeToken, code });
    const token = session.accessToken;
    const device = await this.here.post<{ id: string; secret: string }>('/otp-devices', { type: 'totp' }, { token });
    const { id, secret } = device.body;
    const confirmed = await this.there.post(`/otp-devices/${id}/confirm`, { code: totpCode(secret, clock) }, { token });
    expect(confirmed.status).toBe(200);
    return { email, session, secret };
  }

  private async codeIn(email: string): Promise<string> {
    for (;;) {
      const mail = this.mails.received.find(({ recipients }) => recipients.includes(email));
      const code = /^(\w+): /.exec(mail?.subject ?? '')?.[1];
      if (code) return code;
      await pause(10);
    }
  }
}

function clientOf({ url: origin }: ServerProcess): Http {
  return new Http({
    async inject({ url, payload, ...request }) {
      const response = await fetch(`${origin}${url}`, {
        ...request,
        ...(payload === undefined ? {} : { body: payload }),
      });
      return {
        statusCode: response.status,
        headers: Object.fromEntries(response.headers),
        body: await response.text(),
      };
    },
  });
}

const me = (http: Http, { accessToken: token }: SignedIn) => http.get('/users/me', { token });

/** Uses a session at both replicas until both know it by heart, if they are to. */
async function learn({ here, there }: Pooled, session: SignedIn): Promise<void> {
  for (const http of [here, there, here, there]) expect((await me(http, session)).status).toBe(200);
}

/** Milliseconds from a sign-in to its mail, three times. */
async function mailTimes(pooled: Pooled): Promise<number[]> {
  const times: number[] = [];
  for (let mail = 0; mail < 3; mail += 1) {
    const email = `mail-${randomBytes(5).toString('hex')}@example.com`;
    await pooled.here.post('/users', { email, password: PASSWORD });
    const began = performance.now();
    await pooled.here.post('/auth/token', { identifier: email, password: PASSWORD });
    while (!pooled.mails.received.some(({ recipients }) => recipients.includes(email))) await pause(5);
    times.push(Math.round(performance.now() - began));
  }
  return times;
}

describe.skipIf(!hasPgBouncer)('behind PgBouncer in transaction mode, with DATABASE_DIRECT_URL', () => {
  let pooled: Pooled;
  beforeAll(async () => {
    pooled = await Pooled.start((direct) => ({ DATABASE_DIRECT_URL: direct }));
  }, START_PATIENCE);
  afterAll(() => pooled?.close(), START_PATIENCE);

  it('an app signs in, and its code is used up', async () => {
    const { email, secret } = await pooled.newcomer();
    const asked = await pooled.here.post<Asked>('/auth/token', { identifier: email, password: PASSWORD });
    expect(asked.body.device.type).toBe('totp');
    // The code of the next step: the present one confirmed the device.
    const proof = { codeToken: asked.body.codeToken, code: totpCode(secret, clock, 1) };
    const answers = await Promise.all([
      pooled.here.post('/auth/token/second-factor', proof),
      pooled.there.post('/auth/token/second-factor', proof),
    ]);
    expect(answers.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1);
  });

  it('of parallel refreshes all get the same successor, and the old token later ends the session', async () => {
    const { session } = await pooled.newcomer();
    const { refreshToken } = session;
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, turn) =>
        (turn % 2 ? pooled.here : pooled.there).post<SignedIn>('/auth/token/refresh', { refreshToken }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(new Set(answers.map(({ body }) => body.refreshToken)).size).toBe(1);
    const successor = answers[0]?.body.refreshToken;
    expect((await pooled.there.post('/auth/token/refresh', { refreshToken: successor })).status).toBe(200);
    const reused = await pooled.here.post('/auth/token/refresh', { refreshToken });
    expect(reused.body['code']).toBe('refresh_token_reused');
    expect((await me(pooled.there, session)).status).toBe(401);
  });

  it('who signs out here is refused there with the very next request', async () => {
    const { session } = await pooled.newcomer();
    await learn(pooled, session);
    await pooled.here.post('/auth/token/revoke', { refreshToken: session.refreshToken });
    expect((await me(pooled.there, session)).status).toBe(401);
  });

  it('forty at once share three connections, and each gets his own answer', async () => {
    const people = await Promise.all(Array.from({ length: 4 }, () => pooled.newcomer()));
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, turn) => {
        const person = people[turn % people.length];
        if (!person) throw new Error('There are four');
        const { status, body } = await me(turn % 2 ? pooled.here : pooled.there, person.session);
        return [status, body['email'] === person.email];
      }),
    );
    expect(answers).toEqual(Array.from({ length: 40 }, () => [200, true]));
  });

  it('a mail leaves at once', async () => {
    expect(Math.min(...(await mailTimes(pooled)))).toBeLessThan(1_000);
  });

  it('keeps the time limits that its papers let the pooler set, and applies migrations without them', async () => {
    expect(readFileSync(join(REPOSITORY, 'docs/operations.md'), 'utf8')).toContain(`connect_query='${LIMITS}'`);
    expect(pooled.log()).not.toContain('does not set');
  });
});

describe.skipIf(!hasPgBouncer)('behind PgBouncer in transaction mode, without DATABASE_DIRECT_URL', () => {
  let pooled: Pooled;
  beforeAll(async () => {
    pooled = await Pooled.start(() => ({}), '');
  }, START_PATIENCE);
  afterAll(() => pooled?.close(), START_PATIENCE);

  it('who signs out here is refused there with the very next request: no announcement is trusted', async () => {
    expect(pooled.log().match(/every session is looked up; DATABASE_DIRECT_URL spares that/g)).toHaveLength(2);
    const { session } = await pooled.newcomer();
    await learn(pooled, session);
    await pooled.here.post('/auth/token/revoke', { refreshToken: session.refreshToken });
    expect((await me(pooled.there, session)).status).toBe(401);
  });

  it('says that time limits are lost which the pooler ignores', () => {
    const lost = /does not set idle_in_transaction_session_timeout, lock_timeout, statement_timeout/g;
    expect(pooled.log().match(lost)).toHaveLength(2);
  });

  it('a mail leaves when the queue is looked at the next time, and leaves once', async () => {
    const times = await mailTimes(pooled);
    expect(Math.max(...times)).toBeLessThan(10_000);
    await expect.poll(() => pooled.sql('SELECT id FROM graphile_worker.jobs')).toEqual([]);
    const codes = pooled.mails.received.flatMap(({ recipients }) => recipients.filter((to) => to.startsWith('mail-')));
    expect(codes).toHaveLength(times.length);
    expect(pooled.log()).not.toMatch(/"level":"error"/);
  });
});
