import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TokenSigner } from '../../src/tokens/token.signer.js';
import { startApp, type TestApp } from '../support/app.js';
import { register, signInByMail } from '../support/people.js';
import { REPOSITORY } from '../support/server-process.js';

const run = promisify(execFile);
const PACKAGE = join(REPOSITORY, 'packages', 'guard');

/** Somebody else's service, as he would write it. */
const SERVICE = `
import 'reflect-metadata';
import { Controller, Get, Module, Post, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { CountersignGuard, CountersignGuardModule, CurrentUser, RequiresAcr, RequiresFresh, RequiresRole, type SignedInUser } from '@countersign/guard/nest';

@Controller('invoices')
@UseGuards(CountersignGuard)
class InvoicesController {
  @Get()
  mine(@CurrentUser() user: SignedInUser) {
    return { of: user.userId };
  }

  @Get('all')
  @RequiresRole('admin', 'accounting')
  all() {
    return { all: true };
  }

  @Post('payouts')
  @RequiresAcr('aal2')
  @RequiresFresh(300)
  payOut() {
    return { paid: true };
  }
}

/** A requirement alone brings the guard along; that of the class holds for its handlers, too. */
@Controller('reports')
@RequiresRole('admin')
class ReportsController {
  @Get()
  @RequiresRole('auditor')
  read() {
    return { read: true };
  }
}

@Controller('open')
class OpenController {
  @Get()
  open() {
    return { open: true };
  }
}

const [issuer = '', jwksUrl = ''] = process.argv.slice(2);

@Module({
  imports: [CountersignGuardModule.register({ issuer, audience: 'countersign', jwksUrl })],
  controllers: [InvoicesController, ReportsController, OpenController],
})
class AppModule {}

const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), { logger: ['error', 'warn'] });
await app.listen({ port: 0, host: '127.0.0.1' });
console.log('at ' + (await app.getUrl()));
`;

let app: TestApp;
let folder: string;
let service: ChildProcess;
let url: string;

beforeAll(async () => {
  app = await startApp({ CODE_RESEND_COOLDOWN: 'off', CODE_TOKEN_RETRY_WAIT: 'off' });
  folder = mkdtempSync(join(tmpdir(), 'countersign-guard-'));
  await install(folder);
  await compile(folder);
  ({ service, url } = await start(folder, `${await app.listen()}/.well-known/jwks.json`));
}, 120_000);
afterAll(async () => {
  service.kill();
  await app.close();
  rmSync(folder, { recursive: true, force: true });
});

async function ask(path: string, token?: string, method = 'GET') {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body, code: body['code'] };
}

/** As after a sign-in with an authenticator app; that would move the test clock, and the other service has its own. */
function strongToken(...roles: string[]): string {
  const { accessToken } = app.app.get(TokenSigner).signAccess({
    userId: '019aa8d2-7a31-7c7e-9d56-4f1f2a1f0c11',
    sessionId: '019aa8d2-8b57-7f0a-9c3d-1e4b6a8d2f90',
    roles,
    proved: ['password', 'totp'],
    amr: ['pwd', 'otp'],
    authenticatedAt: app.clock.now(),
  });
  return accessToken;
}

describe('a Nest service elsewhere, with the packed guard', () => {
  it('lets somebody in who has signed in, and knows who it is', async () => {
    const { accessToken, user } = await signInByMail(app, await register(app));
    expect(await ask('/invoices', accessToken)).toMatchObject({ status: 200, body: { of: user.id } });
    expect((await ask('/open')).status).toBe(200);
  });

  it.each([
    [undefined, 'authentication_required', 'Bearer realm="countersign"'],
    ['nonsense', 'invalid_token', 'Bearer realm="countersign", error="invalid_token"'],
  ])('answers the token "%s" with the problem %s and its challenge', async (token, code, challenge) => {
    const { status, headers, body } = await ask('/invoices', token);
    expect(status).toBe(401);
    expect(body).toMatchObject({ status: 401, code, type: `https://id.example.test/problems#${code}` });
    expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(headers.get('www-authenticate')).toBe(challenge);
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('asks for roles, assurance and a recent proof', async () => {
    const { accessToken: plain } = await signInByMail(app, await register(app));
    const admin = strongToken('admin');
    expect(await ask('/invoices/all', plain)).toMatchObject({ status: 403, code: 'role_required' });
    expect((await ask('/invoices/all', admin)).status).toBe(200);
    const refused = await ask('/invoices/payouts', plain, 'POST');
    expect(refused).toMatchObject({ status: 401, code: 'insufficient_user_authentication' });
    expect(refused.headers.get('www-authenticate')).toMatch(/acr_values="aal2", max_age="300"$/);
    expect((await ask('/invoices/payouts', admin, 'POST')).status).toBe(201);
  });

  it('asks for what the class and what the handler requires, and guards where only a requirement stands', async () => {
    expect((await ask('/reports')).code).toBe('authentication_required');
    expect((await ask('/reports', strongToken('admin'))).code).toBe('role_required');
    expect((await ask('/reports', strongToken('auditor'))).code).toBe('role_required');
    expect((await ask('/reports', strongToken('admin', 'auditor'))).status).toBe(200);
  });
});

it('needs jose and nothing else', () => {
  const { dependencies } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as Record<string, object>;
  expect(Object.keys(dependencies ?? {})).toEqual(['jose']);
  const files = readdirSync(join(PACKAGE, 'dist'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.js'),
  );
  const imported = files.flatMap((file) => [
    ...readFileSync(join(PACKAGE, 'dist', file), 'utf8').matchAll(/from '([^.'][^']*)'/g),
  ]);
  expect([...new Set(imported.map(([, name]) => name))].toSorted()).toEqual(['@nestjs/common', '@nestjs/core', 'jose']);
  const plain = files.filter((file) => !file.startsWith('nest'));
  expect(plain.filter((file) => readFileSync(join(PACKAGE, 'dist', file), 'utf8').includes('@nestjs'))).toEqual([]);
});

/** As `npm install` lays it out: the packed guard unpacked, and beside it what the service and the guard depend on. */
async function install(target: string): Promise<void> {
  const { stdout } = await run('npm', ['pack', '--json', '--silent', '--pack-destination', target], { cwd: PACKAGE });
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  expect(packed.files.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['LICENSE', 'README.md', 'package.json', 'dist/index.js', 'dist/nest/index.d.ts']),
  );
  const guard = join(target, 'node_modules', '@countersign', 'guard');
  mkdirSync(guard, { recursive: true });
  mkdirSync(join(target, 'node_modules', '@types'));
  await run('tar', ['-xzf', join(target, packed.filename), '-C', guard, '--strip-components=1']);
  for (const name of ['@nestjs', 'jose', 'reflect-metadata', 'rxjs', 'fastify', '@types/node']) {
    symlinkSync(join(REPOSITORY, 'node_modules', name), join(target, 'node_modules', name), 'junction');
  }
}

/** Strictly, so that the declarations of the package are tried as well. */
async function compile(target: string): Promise<void> {
  writeFileSync(join(target, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(target, 'service.ts'), SERVICE);
  const compiler = join(REPOSITORY, 'node_modules', 'typescript-7', 'bin', 'tsc');
  const options =
    '--strict --target es2023 --module nodenext --experimentalDecorators --emitDecoratorMetadata --skipLibCheck --types node';
  await run(process.execPath, [compiler, ...options.split(' '), 'service.ts'], { cwd: target }).catch(
    (cause: unknown) => {
      throw new Error((cause as { stdout: string }).stdout);
    },
  );
}

async function start(target: string, jwksUrl: string) {
  const child = spawn(process.execPath, ['service.js', 'https://id.example.test', jwksUrl], { cwd: target });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const listening = new Promise<string>((resolve) => {
    child.stdout.on('data', () => {
      const at = /^at (\S+)$/m.exec(output)?.[1];
      if (at) resolve(at);
    });
  });
  const found = await Promise.race([listening, once(child, 'exit').then(() => null)]);
  if (found === null) throw new Error(`The service did not start:\n${output}`);
  return { service: child as ChildProcess, url: found };
}
