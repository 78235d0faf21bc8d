import type { OutboxMessage } from '../notifications/outbox.js';

/** The outbox as one page without scripts. What a message holds is shown as text, or in a frame that may do nothing. */
export function outboxPage(messages: readonly OutboxMessage[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="5">
<title>Outbox (${messages.length})</title>
<style>
body { max-width: 60rem; margin: 0 auto; padding: 1.5rem; font: 1rem/1.5 system-ui, sans-serif; }
article { margin: 1.5rem 0; padding: 1rem; border: 1px solid #8a8f98; border-radius: .5rem; }
h2 { margin: 0; font-size: 1.1rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
iframe { width: 100%; height: 24rem; border: 1px solid #8a8f98; background: #fff; color-scheme: light; }
</style>
</head>
<body>
<main>
<h1>Outbox</h1>
<p>Without a mail server (SMTP_URL) mails stay in this process’s memory, and without a driver (SMS_DRIVER) so do
text messages. The page reloads every five seconds; programs read <a href="/dev/outbox.json">/dev/outbox.json</a>, and DELETE /dev/outbox empties it.</p>
${messages.map(article).join('\n') || '<p>No message yet.</p>'}
</main>
</body>
</html>
`;
}

function article({ channel, to, subject, text, html, createdAt }: OutboxMessage): string {
  const isMail = channel === 'email';
  return `<article>
<h2>${isMail ? escaped(subject) : 'Text message'}</h2>
<p>To ${escaped(to)}, <time>${createdAt.toISOString()}</time></p>
<pre>${escaped(text)}</pre>${isMail ? `\n<iframe sandbox title="The mail as HTML" srcdoc="${escaped(html)}"></iframe>` : ''}
</article>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
