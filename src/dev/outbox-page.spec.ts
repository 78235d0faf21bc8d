import { expect, it } from 'vitest';
import type { OutboxMessage } from '../notifications/outbox.js';
import { outboxPage } from './outbox-page.js';

const hostile = `"'><script>alert(1)</script>`;
const message: OutboxMessage = {
  id: '1',
  channel: 'sms',
  to: hostile,
  subject: '',
  text: hostile,
  html: '',
  createdAt: new Date(0),
};

it('shows what a mail holds as text, and its HTML only in a frame without rights', () => {
  const page = outboxPage([{ ...message, channel: 'email', subject: hostile, html: hostile }]);
  expect(page).not.toContain('<script');
  expect(page.split('&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;')).toHaveLength(5);
  expect(page).toContain('<iframe sandbox title="The mail as HTML" srcdoc="&quot;&#39;&gt;&lt;script&gt;');
});

it('shows what a text message holds as text', () => {
  const page = outboxPage([message]);
  expect(page).not.toMatch(/<script|<iframe/);
  expect(page.split('&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;')).toHaveLength(3);
});

it('says so while there is no message', () => {
  expect(outboxPage([])).toContain('No message yet.');
});
