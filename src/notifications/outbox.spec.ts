import { Logger } from '@nestjs/common';
import { afterEach, expect, it, vi } from 'vitest';
import { completeConfig } from '../config/config.js';
import { readSettings } from '../config/env.js';
import { Outbox, OutboxSms } from './outbox.js';

const config = completeConfig(readSettings({ NODE_ENV: 'test' }), { databaseUrl: '', secretKey: '' });

const mail = (messageId: string) => ({
  messageId,
  to: 'alice@example.com',
  subject: '7654321: Your verification code',
  text: '7654321',
  html: '<p>7654321</p>',
});

afterEach(() => {
  vi.restoreAllMocks();
});

it('keeps the last 200 mails, newest first, until it is cleared', async () => {
  vi.spyOn(Logger.prototype, 'log').mockReturnValue(undefined);
  const outbox = new Outbox(config);
  for (let n = 1; n <= 201; n++) await outbox.send(mail(`${n}`));
  const ids = outbox.list().map(({ id }) => id);
  expect(ids).toHaveLength(200);
  expect(ids[0]).toBe('201');
  expect(ids.at(-1)).toBe('2');
  outbox.clear();
  expect(outbox.list()).toEqual([]);
});

it('tells the log where a mail is, but neither its code nor its address', async () => {
  const log = vi.spyOn(Logger.prototype, 'log').mockReturnValue(undefined);
  await new Outbox(config).send(mail('1'));
  expect(log.mock.calls).toEqual([['Mail to a•••@example.com is in the outbox: http://localhost:3000/dev/outbox']]);
});

it('keeps text messages among the mails', async () => {
  vi.spyOn(Logger.prototype, 'log').mockReturnValue(undefined);
  const outbox = new Outbox(config);
  await outbox.send(mail('1'));
  await new OutboxSms(outbox).send({ messageId: '2', to: '+4915112345636', body: '123456 it is' });
  expect(outbox.list()).toMatchObject([
    { id: '2', channel: 'sms', to: '+4915112345636', subject: '', text: '123456 it is', html: '' },
    { id: '1', channel: 'email', to: 'alice@example.com' },
  ]);
});

it('tells the log neither the code nor the number of a text message', async () => {
  const log = vi.spyOn(Logger.prototype, 'log').mockReturnValue(undefined);
  await new OutboxSms(new Outbox(config)).send({ messageId: '2', to: '+4915112345636', body: '123456 it is' });
  expect(log.mock.calls).toEqual([['Text message to +••••••36 is in the outbox: http://localhost:3000/dev/outbox']]);
});
