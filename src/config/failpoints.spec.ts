import { afterAll, afterEach, expect, it, vi } from 'vitest';
import { armFailpoint, crashAt } from './failpoints.js';

const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
afterEach(() => {
  armFailpoint({});
  kill.mockClear();
});
afterAll(() => kill.mockRestore());

it('a failpoint outside of tests stops the start by its name, and nothing is armed', () => {
  for (const NODE_ENV of ['production', 'development', '', undefined]) {
    expect(() => armFailpoint({ NODE_ENV, CRASH_AT: 'before-send' })).toThrow(/CRASH_AT: is for tests/);
  }
  crashAt('before-send');
  expect(kill).not.toHaveBeenCalled();
});

it('one that nobody knows is refused: a test that never dies would prove nothing', () => {
  expect(() => armFailpoint({ NODE_ENV: 'test', CRASH_AT: 'never' })).toThrow(/CRASH_AT: is none of before-send, /);
});

it('the one that is armed ends the process, and no other', () => {
  armFailpoint({ NODE_ENV: 'test', CRASH_AT: 'before-send' });
  crashAt('resetting-password');
  expect(kill).not.toHaveBeenCalled();
  crashAt('before-send');
  expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, 'SIGKILL');
});
