import { parseArgs } from 'node:util';
import { Api } from './demo/api.js';
import { emailOrTotp } from './demo/email-or-totp.js';
import { Narrator, Unmet } from './demo/narrator.js';
import { isOurs, OwnServer } from './demo/server.js';
import { totpRequired } from './demo/totp-required.js';

const USAGE = `npm run demo [-- --url http://localhost:3000]

A tour of the API: it drives the server at --url, or the one that runs at PORT (3000), or else one of its own.`;

/** Where the tour goes: what the caller names, what runs at the usual place, or null. */
async function findServer(named: string | undefined): Promise<string | null> {
  const url = (named ?? `http://localhost:${process.env['PORT'] ?? '3000'}`).replace(/\/+$/, '');
  if (await isOurs(url)) return url;
  if (named === undefined) return null;
  throw new Error(`No Countersign with an outbox (/dev/outbox) answers at ${url}: the tour reads its mails there`);
}

async function run(narrator: Narrator, own: OwnServer): Promise<void> {
  const { values } = parseArgs({ options: { url: { type: 'string' }, help: { type: 'boolean' } } });
  if (values.help) return narrator.say(USAGE);
  const begun = Date.now();

  narrator.tour('First tour: a code by mail, or an authenticator app');
  const running = await findServer(values.url);
  narrator.say(running ? `The server at ${running} is used.` : 'No server runs here: the tour starts one of its own.');
  narrator.say('Below, long tokens are shortened, and empty properties and times are left out.');
  await emailOrTotp(new Api(running ?? (await own.start()), narrator), narrator);

  narrator.tour('Second tour: an authenticator app is required');
  narrator.say('The tour starts a server of its own with TWO_FACTOR_TRUSTED_METHODS=totp.');
  await totpRequired(new Api(await own.start({ TWO_FACTOR_TRUSTED_METHODS: 'totp' }), narrator), narrator);

  narrator.tour('The end');
  narrator.say(`All ${narrator.held} expectations held, in ${Math.round((Date.now() - begun) / 1000)} s.`);
}

function messageOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // fetch itself only says that it failed
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message;
}

const narrator = new Narrator();
const own = new OwnServer();
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    interrupted = true;
    void own.end().finally(() => process.exit(130));
  });
}
try {
  await run(narrator, own);
} catch (cause) {
  process.exitCode = 1;
  const lead = cause instanceof Unmet ? 'An expectation did not hold: ' : '';
  if (!interrupted) narrator.failure(lead + messageOf(cause));
} finally {
  await own.end();
}
