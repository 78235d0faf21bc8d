import { describe, expect, it, vi } from 'vitest';
import { CircuitBreaker, CircuitOpenError } from './circuit-breaker.js';

const outage = new Error('outage');
const refusal = new Error('refusal');
const isFailure = (error: unknown) => error === outage;

function setUp() {
  let time = 0;
  const opened = vi.fn();
  const breaker = new CircuitBreaker({ failures: 3, pause: 1000, opened, now: () => time });
  const ask = vi.fn<() => Promise<string>>();
  return {
    ask,
    opened,
    pass: (milliseconds: number) => (time += milliseconds),
    succeed: () => breaker.run(ask.mockResolvedValueOnce('done'), isFailure),
    fail: (error = outage) => breaker.run(ask.mockRejectedValueOnce(error), isFailure),
    run: (question: () => Promise<string>) => breaker.run(question, isFailure),
  };
}

async function open(circuit: ReturnType<typeof setUp>) {
  for (let n = 0; n < 3; n++) await expect(circuit.fail()).rejects.toBe(outage);
}

describe('a closed circuit', () => {
  it('lets answers and errors through', async () => {
    const circuit = setUp();
    await expect(circuit.succeed()).resolves.toBe('done');
    await expect(circuit.fail()).rejects.toBe(outage);
  });

  it('opens after failures in a row, and says so once', async () => {
    const circuit = setUp();
    await open(circuit);
    await expect(circuit.run(circuit.ask)).rejects.toBeInstanceOf(CircuitOpenError);
    expect(circuit.ask).toHaveBeenCalledTimes(3);
    expect(circuit.opened).toHaveBeenCalledTimes(1);
  });

  it.each(['an answer', 'a refusal'])('starts to count anew after %s', async (what) => {
    const circuit = setUp();
    for (let n = 0; n < 4; n++) {
      await circuit.fail().catch(() => undefined);
      await circuit.fail().catch(() => undefined);
      if (what === 'an answer') await circuit.succeed();
      else await expect(circuit.fail(refusal)).rejects.toBe(refusal);
    }
    expect(circuit.opened).not.toHaveBeenCalled();
  });
});

describe('an open circuit', () => {
  it('lets one request through after the pause, and refuses the others meanwhile', async () => {
    const circuit = setUp();
    await open(circuit);
    circuit.pass(999);
    await expect(circuit.succeed()).rejects.toBeInstanceOf(CircuitOpenError);
    circuit.pass(1);
    let resolve = (_answer: string): void => undefined;
    const trial = circuit.run(() => new Promise((done) => (resolve = done)));
    await expect(circuit.run(() => Promise.resolve('second'))).rejects.toBeInstanceOf(CircuitOpenError);
    resolve('first');
    await expect(trial).resolves.toBe('first');
    await expect(circuit.run(() => Promise.resolve('third'))).resolves.toBe('third');
  });

  it('opens again when the trial fails', async () => {
    const circuit = setUp();
    await open(circuit);
    circuit.pass(1000);
    await expect(circuit.fail()).rejects.toBe(outage);
    circuit.pass(999);
    await expect(circuit.run(circuit.ask)).rejects.toBeInstanceOf(CircuitOpenError);
    circuit.pass(1);
    await expect(circuit.run(() => Promise.resolve('back'))).resolves.toBe('back');
    expect(circuit.opened).toHaveBeenCalledTimes(1);
  });

  it('closes when the trial is refused: whoever refuses is there', async () => {
    const circuit = setUp();
    await open(circuit);
    circuit.pass(1000);
    await expect(circuit.fail(refusal)).rejects.toBe(refusal);
    await expect(circuit.run(() => Promise.resolve('back'))).resolves.toBe('back');
  });

  it('is not kept open by requests that were under way when it opened', async () => {
    const circuit = setUp();
    let reject = (_error: Error): void => undefined;
    const request = circuit.run(() => new Promise((_, failed) => (reject = failed)));
    await open(circuit);
    circuit.pass(900);
    reject(outage);
    await expect(request).rejects.toBe(outage);
    circuit.pass(100);
    await expect(circuit.run(() => Promise.resolve('back'))).resolves.toBe('back');
  });
});
