import type { LinkPage } from '../sign-in/link-pages.js';

/** Like the other pages behind links, it holds no secret: its script asks with the token, and shows text as text. */
export const INVITATION_PAGE: LinkPage = {
  title: 'You are invited',
  // The password is without maxlength: a browser would cut a longer one off in silence.
  form: `<p id="about">One moment …</p>
<blockquote id="words" hidden></blockquote>
<p>If you have an account already, leave the fields empty.</p>
<p><label for="firstName">First name</label>
<input id="firstName" name="firstName" autocomplete="given-name" maxlength="100"></p>
<p><label for="lastName">Last name</label>
<input id="lastName" name="lastName" autocomplete="family-name" maxlength="100"></p>
<p><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="new-password"></p>
<button>Accept the invitation</button>`,
  route: 'invitations/accept',
  script: 'invitation.js',
};

export const INVITATION_SCRIPT = `'use strict';
const form = document.querySelector('form');
const button = form.querySelector('button');
const about = document.querySelector('#about');
const words = document.querySelector('#words');
const message = document.querySelector('[role=status]');
const token = new URLSearchParams(location.search).get('token');
history.replaceState(null, '', location.pathname);

const NOT_COMPLETE = 'This link is not as it was sent. Open it again from the message.';

const DONE = {
  authenticated: 'You have accepted the invitation. Go on in the application.',
  second_factor_required: 'You have accepted the invitation. A second factor is asked when you sign in.',
  enrollment_required: 'You have accepted the invitation. A second factor has to be set up when you sign in.',
};

async function post(action, body) {
  const response = await fetch(action, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    credentials: 'omit',
  });
  return { ok: response.ok, answer: await response.json() };
}

function wordsOf(problem) {
  const errors = problem.errors ?? [];
  if (errors.some(({ field }) => field === 'token')) return NOT_COMPLETE;
  const faults = errors.map(({ field, messages }) => field + ' ' + messages.join(', '));
  return problem.title + '. ' + (faults.length > 0 ? faults.join('; ') + '.' : problem.detail);
}

function end(text) {
  form.hidden = true;
  message.textContent = text;
}

async function preview() {
  if (!token) return end(NOT_COMPLETE);
  const { ok, answer } = await post(form.dataset.action.replace(/accept$/, 'preview'), { token });
  if (!ok) return end(wordsOf(answer));
  about.textContent = answer.inviter + ' invites you, as ' + answer.address + '.';
  words.textContent = answer.message;
  words.hidden = answer.message === '';
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  message.textContent = 'One moment …';
  const given = [...new FormData(form)].filter(([, value]) => value !== '');
  try {
    const { ok, answer } = await post(form.dataset.action, { token, ...Object.fromEntries(given) });
    if (ok) return end(DONE[answer.status]);
    message.textContent = wordsOf(answer);
  } catch {
    message.textContent = 'The service could not be reached. Try again in a moment.';
  }
  button.disabled = false;
});

preview().catch(() => end('The service could not be reached. Open the link again in a moment.'));
`;
