import type { OutboxMail } from '../notifications/outbox.js';

/** The outbox as one page without scripts. What a mail holds is shown as text, or in a frame that may do nothing. */
export function outboxPage(mails: readonly OutboxMail[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="5">
<title>Outbox (${mails.length})</title>
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
<p>No mail server is configured (SMTP_URL), so mails stay in this process’s memory. The page reloads every five
seconds; programs read <a href="/dev/outbox.json">/dev/outbox.json</a>, and DELETE /dev/outbox empties it.</p>
${mails.map(article).join('\n') || '<p>No mail yet.</p>'}
</main>
</body>
</html>
`;
}

function article({ to, subject, text, html, createdAt }: OutboxMail): string {
  return `<article>
<h2>${escaped(subject)}</h2>
<p>To ${escaped(to)}, <time>${createdAt.toISOString()}</time></p>
<pre>${escaped(text)}</pre>
<iframe sandbox title="The mail as HTML" srcdoc="${escaped(html)}"></iframe>
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
