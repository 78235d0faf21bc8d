import { hash, verify } from '@node-rs/argon2';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { createTransport } from 'nodemailer';
import pLimit from 'p-limit';
import { ARGON2 } from '../people.js';
import {
  codeHashOf,
  hashOf,
  JWKS,
  newCode,
  newSecret,
  open,
  same,
  signAccess,
  verifyAccess,
  type Claims,
} from './secrets.js';
import { Store } from './store.js';
import { stepOf } from './totp.js';

const LIFETIME_SECONDS = 300;

/** As many hashes at once as there are cores: more push each other out of the cache, and each costs half as much again. */
const lane = pLimit(availableParallelism());

/**
 * The least that each operation can cost on this HTTP server, database and hash: what may not be left out without giving
 * up what the operation is for, and nothing else. It is a yardstick, not a service.
 */
export function createBare(databaseUrl: string, smtpUrl: string): FastifyInstance {
  const app = fastify();
  const store = new Store(databaseUrl);
  const mailer = createTransport({ url: smtpUrl, pool: true }, { from: 'bench@localhost' });
  app.addHook('onClose', async () => {
    mailer.close();
    await store.end();
  });

  app.post('/token', body('email', 'password'), async (request, reply) => {
    const { email = '', password = '' } = textsOf(request);
    const user = await store.findUser(email);
    if (!user || !(await lane(() => verify(user.passwordHash, password)))) return reply.status(401).send(REFUSED);
    if (user.sealedSecret === null) {
      const session = newSession();
      await store.insertSession(session.id, user.id, session.refreshHash);
      return tokensOf(session, user.id, user.roles);
    }
    const challengeId = randomUUID();
    await store.insertChallenge(challengeId, user.id);
    return { codeToken: challengeId };
  });

  app.post('/token/second-factor', body('codeToken', 'code'), async (request, reply) => {
    const { codeToken = '', code = '' } = textsOf(request);
    const charged = await store.charge(codeToken);
    const step = charged?.sealedSecret ? stepOf(open(charged.sealedSecret), code) : null;
    if (!charged || step === null) return reply.status(401).send(REFUSED);
    const session = newSession();
    const begun = await store.consumeForStep(charged.id, step, session.id, session.refreshHash);
    return begun ? tokensOf(session, charged.userId, charged.roles) : reply.status(401).send(REFUSED);
  });

  app.post('/otp', body('email'), async (request, reply) => {
    const { email = '' } = textsOf(request);
    const id = randomUUID();
    const code = newCode();
    // The answer does not wait for the mail server, and is the same where nobody has the address.
    if (await store.insertCode(id, email, codeHashOf(id, code))) {
      mailer.sendMail({ to: email, subject: 'Your code', text: code }).catch(() => undefined);
    }
    return reply.status(202).send({});
  });

  app.post('/token/code', body('email', 'code'), async (request, reply) => {
    const { email = '', code = '' } = textsOf(request);
    const charged = await store.chargeLatest(email);
    if (!charged?.codeHash || !same(charged.codeHash, codeHashOf(charged.id, code))) {
      return reply.status(401).send(REFUSED);
    }
    const session = newSession();
    const begun = await store.consumeCode(charged.id, session.id, session.refreshHash);
    return begun ? tokensOf(session, charged.userId, charged.roles) : reply.status(401).send(REFUSED);
  });

  app.post('/token/refresh', body('refreshToken'), async (request, reply) => {
    const { refreshToken = '' } = textsOf(request);
    const [id = '', secret = ''] = refreshToken.split('.');
    const session = newSession(id);
    const rotated = await store.rotate(id, hashOf(Buffer.from(secret, 'base64url')), session.refreshHash);
    return rotated ? tokensOf(session, rotated.userId, rotated.roles) : reply.status(401).send(REFUSED);
  });

  app.post('/token/verify', body('token'), (request) => {
    const claims = verifyAccess(textsOf(request)['token'] ?? '');
    return Promise.resolve(claims ? { active: true, ...claims } : { active: false });
  });

  app.get('/forward', async (request, reply) => {
    const claims = bearerOf(request);
    if (!claims) return reply.status(401).send(REFUSED);
    return reply.header('x-auth-user-id', claims.sub).header('x-auth-roles', claims.roles.join(',')).send();
  });

  app.get('/users/me', async (request, reply) => {
    const claims = bearerOf(request);
    const profile = claims && (await store.findProfile(claims.sub));
    return profile ?? reply.status(401).send(REFUSED);
  });

  app.post('/users', body('email', 'password'), async (request, reply) => {
    const { email = '', password = '' } = textsOf(request);
    const profile = await store.insertUser(email, await lane(() => hash(password, ARGON2)));
    return profile ? reply.status(201).send(profile) : reply.status(409).send(REFUSED);
  });

  app.get('/jwks.json', () => Promise.resolve(JWKS));

  return app;
}

const REFUSED = { status: 'refused' };

interface Session {
  id: string;
  refreshToken: string;
  refreshHash: Buffer;
}

function newSession(id: string = randomUUID()): Session {
  const secret = newSecret();
  return { id, refreshToken: `${id}.${secret.toString('base64url')}`, refreshHash: hashOf(secret) };
}

function tokensOf({ id, refreshToken }: Session, userId: string, roles: string[]): object {
  const now = Math.floor(Date.now() / 1000);
  const claims: Claims = {
    iss: 'http://localhost',
    aud: 'bench',
    sub: userId,
    sid: id,
    iat: now,
    exp: now + LIFETIME_SECONDS,
    jti: randomUUID(),
    auth_time: now,
    roles,
  };
  return { accessToken: signAccess(claims), expiresIn: LIFETIME_SECONDS, refreshToken };
}

function bearerOf({ headers: { authorization = '' } }: FastifyRequest): Claims | null {
  return authorization.startsWith('Bearer ') ? verifyAccess(authorization.slice('Bearer '.length)) : null;
}

/** The route's schema: an object with these texts and nothing else. */
function body(...names: string[]) {
  const properties = Object.fromEntries(names.map((name) => [name, { type: 'string', maxLength: 4096 }]));
  return { schema: { body: { type: 'object', properties, required: names, additionalProperties: false } } };
}

function textsOf({ body }: FastifyRequest): Partial<Record<string, string>> {
  return body as Partial<Record<string, string>>;
}
