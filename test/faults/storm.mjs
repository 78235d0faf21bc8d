// A thread of its own, so that what it costs to ask is not counted as time to answer: all sign in at once, and who is
// told to come back does so when he was told, until the time is over.
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

const { url, bodies, milliseconds } = workerData;
const agent = new Agent({ keepAlive: true });
const until = performance.now() + milliseconds;

const answers = await Promise.all(bodies.map(signIn));
agent.destroy();
parentPort.postMessage(answers.flat());

async function signIn(body) {
  const heard = [];
  for (;;) {
    const { status, code, retryAfter } = await post(JSON.stringify(body));
    heard.push({ status, code });
    const comesBack = performance.now() + retryAfter * 1_000;
    if (status !== 503 || comesBack > until) return heard;
    await sleep(retryAfter * 1_000);
  }
}

function post(body) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const asked = request(`${url}/api/v1/auth/token`, { method: 'POST', agent, headers }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += chunk));
      answer.on('end', () =>
        resolve({
          status: answer.statusCode,
          code: JSON.parse(text).code,
          retryAfter: Number(answer.headers['retry-after']),
        }),
      );
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
