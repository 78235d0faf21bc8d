// A thread of its own asks whether the processes live, one after the other, until it is told to stop: the thread of the
// tests is busy with their requests, and would measure itself.
import { Agent, get } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const agent = new Agent({ keepAlive: true });
const measured = [];
let stopped = false;
parentPort.once('message', () => (stopped = true));

while (!stopped || measured.length === 0) {
  for (const origin of workerData.origins) measured.push(await milliseconds(`${origin}/health/live`));
}
measured.sort((a, b) => a - b);
parentPort.postMessage(measured[Math.floor(measured.length / 2)]);
agent.destroy();

function milliseconds(url) {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.resume().on('end', () => resolve(performance.now() - begun));
    }).on('error', reject);
  });
}
