import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import {
  administrator,
  personWithTotp,
  register,
  signInByMail,
  type Person,
  type SignedIn,
} from '../support/people.js';
import { freePort } from '../support/free-port.js';
import { hasNginx, startNginx, type Nginx } from './nginx.js';
import { dialogue, echo, send, serve, type Seen, type Sent } from './wire.js';

describe.skipIf(!hasNginx)('docs/gateway/nginx.conf, in front of two replicas and a service', () => {
  let app: TestApp;
  let second: TestApp;
  let replicas: [string, string];
  let service: Awaited<ReturnType<typeof echo>>;
  let nginx: Nginx;
  const waiting: (Person & SignedIn)[] = [];
  let admin: { id: string; token: string };
  let weakAdmin: SignedIn;
  let userId: string;
  let token: string;

  beforeAll(async () => {
    const variables = {
      PUBLIC_URL: 'https://example.com/auth',
      TRUSTED_PROXIES: '127.0.0.1',
      AUTH_FORWARD_IDENTITY_AUDIENCE: 'https://services.example.com',
    };
    app = await startApp(variables);
    // Before the second replica, which would send half of the mails.
    for (let n = 0; n < 12; n += 1) {
      const person = await register(app);
      waiting.push({ ...person, ...(await signInByMail(app, person)) });
    }
    admin = await administrator(app);
    weakAdmin = (await personWithTotp(app)).session;
    second = await startApp(variables, { replicaOf: app });
    replicas = [await app.listen(), await second.listen()];
    service = await echo();
    nginx = await startNginx({ replicas, service: service.url });
    ({ id: userId, accessToken: token } = somebody());
  });
  afterAll(async () => {
    await nginx.stop();
    await service.stop();
    await second.close();
    await app.close();
  });

  /** Somebody who has just signed in, and sent nothing since. */
  const somebody = () => {
    const next = waiting.pop();
    if (!next) throw new Error('Let more people sign in');
    return next;
  };
  const ask = (sent: Sent, gateway = nginx) => send(gateway.url, sent);
  const seen = async (sent: Sent, gateway = nginx) => JSON.parse((await ask(sent, gateway)).body) as Seen;

  it('lets a signed-in user through, and tells the service who it is', async () => {
    const { method, url, headers } = await seen({ path: '/orders/7?role=x&acr=foo', token, method: 'DELETE' });
    expect([method, url]).toEqual(['DELETE', '/orders/7?role=x&acr=foo']);
    expect(headers).toMatchObject({ 'x-auth-user-id': userId, 'x-auth-acr': 'aal1', 'x-auth-amr': 'pwd,email' });
    expect(headers['x-auth-identity-token']).toMatch(/^ey/);
    expect(headers['x-auth-roles']).toBeUndefined();
    expect(headers['authorization']).toBeUndefined();
  });

  it('lets nobody else through, tells why, and never redirects', async () => {
    const before = service.count();
    for (const bearer of [undefined, 'garbage']) {
      for (const path of ['/', '/orders', '/admin/x', '/anything?auth=off', '/_auth/../orders', '/public/../orders']) {
        const { status, headers } = await ask({ path, token: bearer });
        expect([path, status, headers['content-type']]).toEqual([path, 401, 'application/problem+json']);
        expect(headers['www-authenticate']).toMatch(/^Bearer realm="countersign"/);
      }
    }
    expect(service.count()).toBe(before);
    expect((await ask({ path: '/public/x' })).status).toBe(200);
  });

  it('opens /admin/ for administrators with a recent second factor only', async () => {
    expect((await ask({ path: '/admin/x', token })).status).toBe(403);
    expect((await seen({ path: '/admin/x', token: admin.token })).headers).toMatchObject({
      'x-auth-user-id': admin.id,
      'x-auth-roles': 'admin',
      'x-auth-acr': 'aal2',
    });
    // the session from before the authenticator app, in which only mail was proved
    const { accessToken, user } = weakAdmin;
    await app.sql(`UPDATE users SET roles = '{admin}' WHERE id = $1`, [user.id]);
    const { status, headers } = await ask({ path: '/admin/x', token: accessToken });
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toMatch(/insufficient_user_authentication.*acr_values="aal2", max_age="900"/);
  });

  it('takes away every name by which a client could call himself somebody', async () => {
    const lies = [
      'X-Auth-User-Id',
      'x-AUTH-user-ID',
      'X-Auth-Session-Id',
      'X-Auth-Roles',
      'X-Auth-Acr',
      'X-Auth-Amr',
      'X-Auth-Identity-Token',
      'X-Auth-Request-User',
      'X-Auth-Request-Groups',
      'X-User-Id',
      'X_User_Id',
      'X.User.Id',
      'x_auth_user_id',
      'X-User-Roles',
      'X_User_Roles',
      'X-Forwarded-User',
      'Remote-User',
      'Remote_User',
      'REMOTE-GROUPS',
      'Forwarded',
    ];
    for (const path of ['/orders', '/public/orders']) {
      for (const name of lies) {
        const { headers } = await seen({ path, token, headers: { [name]: ['liar', 'for=liar'] } });
        expect(JSON.stringify(headers), `${path} ${name}`).not.toContain('liar');
      }
    }
    const { headers } = await seen({ path: '/public/orders', token, headers: { 'X-Auth-User-Id': 'liar' } });
    expect(Object.keys(headers).filter((name) => /^(x-auth|x-user|remote)/.test(name))).toEqual([]);
  });

  it('gives the service the client’s address, whatever the client says', async () => {
    const { headers } = await seen({
      path: '/orders',
      token,
      from: '127.0.0.9',
      headers: { 'X-Forwarded-For': '10.0.0.1', 'X-Real-IP': '10.0.0.2', Forwarded: 'for=10.0.0.3' },
    });
    expect([headers['x-forwarded-for'], headers['x-real-ip'], headers['forwarded']]).toEqual([
      '127.0.0.9',
      '127.0.0.9',
      undefined,
    ]);
  });

  it('sends a body to the service and never to the question', async () => {
    const body = 'x'.repeat(200_000);
    const { status } = await ask({
      path: '/orders',
      token,
      method: 'POST',
      body,
      headers: { 'Content-Type': 'text/xml' },
    });
    expect(status).toBe(200);
    expect((await ask({ path: '/orders', method: 'POST', body })).status).toBe(401);
  });

  it('asks with nothing of the client’s but what proves who he is', async () => {
    const asked: Seen[] = [];
    const listening = await serve(({ method = '', url = '', headers }, outgoing) => {
      asked.push({ method, url, headers: headers as Seen['headers'] });
      outgoing.writeHead(200, { 'x-auth-user-id': userId }).end();
    });
    const curious = await startNginx({ replicas: [listening.url, listening.url], service: service.url });
    try {
      const headers = {
        'X-Auth-User-Id': 'liar',
        'X-Secret': 'x'.repeat(4000),
        Cookie: 'a=b',
        'Sec-Fetch-Site': 'none',
      };
      await ask({ path: '/orders?role=x', method: 'PUT', token, body: 'a body', headers }, curious);
      expect(asked.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /api/v1/auth/forward']);
      expect(Object.keys(asked[0]?.headers ?? {}).sort()).toEqual([
        'authorization',
        'cookie',
        'host',
        'sec-fetch-site',
        'x-forwarded-for',
        'x-forwarded-method',
        'x-request-id',
      ]);
      expect(asked[0]?.headers).toMatchObject({ 'x-forwarded-method': 'PUT', authorization: `Bearer ${token}` });
    } finally {
      await curious.stop();
      await listening.stop();
    }
  });

  it('never mixes people up, however their requests are crowded together', async () => {
    const people = Array.from({ length: 6 }, somebody);
    const crowd = Array.from({ length: 60 }, (_, n) => people[n % people.length] ?? somebody());
    const answers = await Promise.all(crowd.map((person) => seen({ path: '/orders', token: person.accessToken })));
    expect(answers.map(({ headers }) => headers['x-auth-user-id'])).toEqual(crowd.map(({ id }) => id));
  });

  it('shuts a session that ended out with its next request', async () => {
    const { accessToken, refreshToken } = somebody();
    expect((await ask({ path: '/orders', token: accessToken })).status).toBe(200);
    await app.http.post('/auth/token/revoke', { refreshToken });
    for (let n = 0; n < 4; n += 1) expect((await ask({ path: '/orders', token: accessToken })).status).toBe(401);
  });

  it.each([
    ['two lengths', 'Content-Length: 4\r\nContent-Length: 0\r\n'],
    ['a length and chunks', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n'],
    ['chunks that are not the last', 'Transfer-Encoding: chunked, identity\r\n'],
  ])('refuses a request with %s, and answers nothing that hides behind it', async (_name, headers) => {
    const before = service.count();
    const hidden = 'GET /public/hidden HTTP/1.1\r\nHost: x\r\n\r\n';
    const answers = await dialogue(nginx.url, `POST /public/x HTTP/1.1\r\nHost: x\r\n${headers}\r\n0\r\n\r\n${hidden}`);
    expect(answers).toMatch(/^HTTP\/1\.1 (400|501)/);
    expect([answers.match(/HTTP\/1\.1 /g)?.length, service.count()]).toEqual([1, before]);
  });

  it('keeps no answer, even where somebody configures a cache that tells nobody apart', async () => {
    const caching = await startNginx(
      { replicas, service: service.url },
      {
        'server_tokens off;': 'server_tokens off; proxy_cache_path cache keys_zone=all:1m;',
        'proxy_pass_request_body off;': 'proxy_pass_request_body off; proxy_cache all; proxy_cache_key everybody;',
      },
    );
    try {
      expect((await seen({ path: '/orders', token }, caching)).headers['x-auth-user-id']).toBe(userId);
      expect((await ask({ path: '/orders' }, caching)).status).toBe(401);
      const other = somebody();
      const { headers } = await seen({ path: '/orders', token: other.accessToken }, caching);
      expect(headers['x-auth-user-id']).toBe(other.id);
    } finally {
      await caching.stop();
    }
  });

  it('asks the other replica while one is down', async () => {
    const halved = await startNginx({
      replicas: [`http://127.0.0.1:${await freePort()}`, replicas[1]],
      service: service.url,
    });
    try {
      for (let n = 0; n < 6; n += 1) expect((await ask({ path: '/orders', token }, halved)).status).toBe(200);
    } finally {
      await halved.stop();
    }
  });

  it.each<[string, number | null]>([
    ['is down', null],
    ['never answers', 0],
    ['answers 500', 500],
    ['answers 503', 503],
    ['answers 404', 404],
    ['answers with a redirect', 302],
    ['answers 429', 429],
  ])('lets nobody through while Countersign %s', async (_name, status) => {
    const broken = await serve((_incoming, outgoing) => {
      // Identity without permission is no permission.
      if (status !== 0) outgoing.writeHead(status ?? 500, { 'x-auth-user-id': userId, location: '/public/' }).end();
    });
    const url = status === null ? `http://127.0.0.1:${await freePort()}` : broken.url;
    const alone = await startNginx({ replicas: [url, url], service: service.url });
    const before = service.count();
    try {
      const answer = await ask({ path: '/orders', token }, alone);
      expect([answer.status, answer.headers['location'], service.count()]).toEqual([503, undefined, before]);
    } finally {
      await alone.stop();
      await broken.stop();
    }
  });

  it('answers 503 while Countersign does not reach its database', async () => {
    await app.sql('ALTER TABLE sessions RENAME TO sessions_away');
    const before = service.count();
    const { accessToken } = somebody();
    try {
      expect((await ask({ path: '/orders', token: accessToken })).status).toBe(503);
      expect(service.count()).toBe(before);
    } finally {
      await app.sql('ALTER TABLE sessions_away RENAME TO sessions');
    }
  });
});
