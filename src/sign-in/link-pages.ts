/** What the pages behind the links of our messages show. They hold no secret: their script reads the token. */
export interface LinkPage {
  title: string;
  /** The form that posts; its fields are named like the properties of the request's body. */
  form: string;
  /** Where the form is posted to, below the API's prefix. */
  route: string;
  /** Where its script is, below our root. */
  script: string;
}

export const MAGIC_LINK_PAGE: LinkPage = {
  title: 'Sign in',
  // A button, because mail scanners follow links: nothing is used up before somebody presses it.
  form: `<p>Press the button to sign in with your link. It works once.</p>
<button>Sign in</button>`,
  route: 'auth/magic-link/redeem',
  script: 'link-pages.js',
};

export const RESET_PASSWORD_PAGE: LinkPage = {
  title: 'Choose a new password',
  // Without maxlength: a browser would cut a longer password off in silence, where the service says what is wrong with it.
  form: `<p><label for="newPassword">New password</label>
<input id="newPassword" name="newPassword" type="password" autocomplete="new-password" required autofocus></p>
<button>Change the password</button>`,
  route: 'auth/password-reset/confirm',
  script: 'link-pages.js',
};

/** Pages without inline scripts and without anything from elsewhere. */
export function linkPage(
  { title, form, route, script }: LinkPage,
  { basePath, frontendUrl, showStatus }: { basePath: string; frontendUrl: string | null; showStatus: boolean },
): string {
  const back = frontendUrl === null ? '' : `<p><a href="${escaped(frontendUrl)}">Back to the application</a></p>\n`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>
body { max-width: 26rem; margin: 15vh auto 0; padding: 0 1.5rem; font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; }
label { display: block; }
input, button { box-sizing: border-box; width: 100%; padding: .6rem; font: inherit; }
</style>
<script src="${escaped(basePath)}/${script}" defer></script>
</head>
<body>
<main>
<h1>${title}</h1>
<form method="post" data-action="${escaped(basePath)}/api/v1/${route}"${showStatus ? ' data-show-status' : ''}>
${form}
</form>
<p role="status"></p>
<noscript><p>This page needs JavaScript.</p></noscript>
${back}</main>
</body>
</html>
`;
}

/** Posts the token of the address bar, which is cleared first so that it stays in no history. */
export const LINK_PAGES_SCRIPT = `'use strict';
const form = document.querySelector('form');
const button = form.querySelector('button');
const message = document.querySelector('[role=status]');
const token = new URLSearchParams(location.search).get('token');
history.replaceState(null, '', location.pathname);

const NOT_COMPLETE = 'This link is not as it was sent. Open it again from the message, or ask for another.';

const DONE = {
  // The tokens of the answer go nowhere: where people come in by links, FRONTEND_URL leads them to a page that keeps them.
  authenticated: 'The link is right, and no second factor is asked. This page cannot keep you signed in: go on in the application.',
  second_factor_required: 'The link is right. A second factor is asked next: go on in the application.',
  enrollment_required: 'The link is right. A second factor has to be set up next: go on in the application.',
};

function say(text) {
  message.textContent = text;
}

function wordsOf(problem) {
  const errors = problem.errors ?? [];
  if (errors.some(({ field }) => field === 'token')) return NOT_COMPLETE;
  const faults = errors.map(({ messages }) => messages.join(', '));
  return faults.length > 0 ? 'The password ' + faults.join('; ') + '.' : problem.title + '. ' + problem.detail;
}

if (!token) {
  form.hidden = true;
  say(NOT_COMPLETE);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  say('One moment …');
  try {
    const response = await fetch(form.dataset.action, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token, ...Object.fromEntries(new FormData(form)) }),
      credentials: 'omit',
    });
    const answer = response.status === 204 ? {} : await response.json();
    if (!response.ok) {
      button.disabled = false;
      say(wordsOf(answer));
      return;
    }
    form.hidden = true;
    const status = 'showStatus' in form.dataset && answer.status ? ' (' + answer.status + ')' : '';
    say((DONE[answer.status] ?? 'Your password is changed. Sign in with it now.') + status);
  } catch {
    button.disabled = false;
    say('The service could not be reached. Try again in a moment.');
  }
});
`;

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}
