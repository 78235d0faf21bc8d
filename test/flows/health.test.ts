import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Probe } from '../../src/health/probe.js';
import { startApp, type TestApp } from '../support/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const ask = (url: string, of = app) => of.app.inject({ method: 'GET', url });

describe('/health/live', () => {
  it('says live', async () => {
    expect((await ask('/health/live')).json()).toEqual({ status: 'live' });
  });
});

describe('/health/ready', () => {
  it('says ready', async () => {
    const answer = await ask('/health/ready');
    expect([answer.statusCode, answer.json()]).toEqual([200, { status: 'ready' }]);
  });

  it('asks the database once a second, however often it is asked', async () => {
    await lookAgain();
    const looks = vi.spyOn(app.app.get(Probe, { strict: false }), 'row');
    await Promise.all(Array.from({ length: 200 }, () => ask('/health/ready')));
    expect(looks).toHaveBeenCalledTimes(1);
    looks.mockRestore();
  });

  it('names a migration that is missing, and how long to wait', async () => {
    await app.sql(`UPDATE migrations SET name = name || '-'`);
    const answer = await afterASecond();
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBe('2');
    expect(answer.json()).toMatchObject({ code: 'unavailable', detail: 'Not ready: migrations.' });

    await app.sql(`UPDATE migrations SET name = rtrim(name, '-')`);
    expect((await afterASecond()).statusCode).toBe(200);
  });

  it('answers while every connection of the pool is in use', async () => {
    const held = Array.from({ length: 6 }, () => app.sql('SELECT pg_sleep(2)'));
    expect((await afterASecond()).statusCode).toBe(200);
    await Promise.all(held);
  });
});

it('a replica that is told to stop is not ready at once, answers on, and closes connections', async () => {
  const stopping = await startApp({ SHUTDOWN_DELAY: '1s' }, { replicaOf: app });
  expect((await ask('/health/ready', stopping)).statusCode).toBe(200);
  const closed = stopping.close();
  await expect.poll(async () => (await ask('/health/ready', stopping)).statusCode).toBe(503);
  expect((await ask('/health/ready', stopping)).json()).toMatchObject({ detail: 'Not ready: draining.' });
  const answer = await ask('/health/live', stopping);
  expect([answer.statusCode, answer.headers['connection']]).toEqual([200, 'close']);
  await closed;
});

async function afterASecond() {
  await lookAgain();
  return ask('/health/ready');
}

const lookAgain = () => new Promise((resolve) => setTimeout(resolve, 1_050));
