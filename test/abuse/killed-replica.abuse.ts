import { afterEach, expect, it } from 'vitest';
import { personWithTotp, firstFactor, type Authenticator, type Person } from '../support/people.js';
import { totpCode } from '../support/authenticator.js';
import { challengesOf, failuresOf, wrongTotp } from '../security/traces.js';
import { startReplicas, type Replicas } from './replicas.js';

let service: Replicas;
let owner: Person & Authenticator;
let codeToken: string;
afterEach(() => service.close());

async function begin(): Promise<void> {
  service = await startReplicas({ CODE_TOKEN_RETRY_WAIT: '0s' });
  owner = await personWithTotp(service);
  ({ codeToken } = (await firstFactor(service, owner.email)).body);
}

async function guess(replica: number, code = wrongTotp(owner.secret, service)): Promise<number> {
  const { status } = await service.wire({
    method: 'POST',
    url: '/api/v1/auth/token/second-factor',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ codeToken, code }),
    origin: service.origins[replica],
  });
  return status;
}

it('R24 four wrong codes at a replica that is killed leave one for the other, and no sixth', async () => {
  await begin();
  for (let attempt = 0; attempt < 4; attempt += 1) expect(await guess(0)).toBe(401);
  await service.processes[0]?.end('SIGKILL');
  expect([await guess(1), await guess(1), await guess(1, totpCode(owner.secret, service.clock))]).toEqual([
    401, 403, 403,
  ]);
  expect((await challengesOf(service, owner.id)).at(-1)).toEqual({ attempts: 5, consumed: false });
});

it('R24 what was answered by a replica that is killed in the middle of it was counted', async () => {
  await begin();
  const guesses = Promise.allSettled(Array.from({ length: 20 }, () => guess(0)));
  await service.processes[0]?.end('SIGKILL');
  const answered = (await guesses).filter((each) => each.status === 'fulfilled' && each.value === 401).length;
  const [challenge] = (await challengesOf(service, owner.id)).slice(-1);
  expect(challenge?.attempts).toBeGreaterThanOrEqual(answered);
  expect(challenge?.attempts).toBeLessThanOrEqual(5);
  const counted = challenge?.attempts ?? 0;
  let more = 0;
  while (counted + more < 6 && (await guess(1)) === 401) more += 1;
  expect(counted + more).toBe(5);
  expect(await failuresOf(service, owner.deviceId)).toBe(5);
});
