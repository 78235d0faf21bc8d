import { expect, it } from 'vitest';
import { outboxPage } from './outbox-page.js';

const hostile = `"'><script>alert(1)</script>`;

it('shows what a mail holds as text, and its HTML only in a frame without rights', () => {
  const mail = { id: '1', to: hostile, subject: hostile, text: hostile, html: hostile, createdAt: new Date(0) };
  const page = outboxPage([mail]);
  expect(page).not.toContain('<script');
  expect(page.split('&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;')).toHaveLength(5);
  expect(page).toContain('<iframe sandbox title="The mail as HTML" srcdoc="&quot;&#39;&gt;&lt;script&gt;');
});

it('says so while there is no mail', () => {
  expect(outboxPage([])).toContain('No mail yet.');
});
