import { describe, expect, it } from 'vitest';
import { StatementNames } from './statement-names.js';

function begun(): StatementNames {
  const names = new StatementNames();
  names.begin();
  return names;
}

/** What the text is called each time it is sent. */
function namesOf(names: StatementNames, text: string, times: number): (string | null)[] {
  return Array.from({ length: times }, () => names.nameOf(text));
}

describe('the name of a statement', () => {
  it('is given the fifth time it is sent, and stays', () => {
    const given = namesOf(begun(), 'SELECT $1', 7);
    expect(given.map((name) => name !== null)).toEqual([false, false, false, false, true, true, true]);
    expect(new Set(given.slice(4)).size).toBe(1);
  });

  it('is that of its text: the same in every process, another for another text', () => {
    const [here, there] = [begun(), begun()].map((names) => namesOf(names, 'SELECT $1', 5).at(-1));
    expect(here).toBe(there);
    expect(namesOf(begun(), 'SELECT $1 ', 5).at(-1)).not.toBe(here);
  });

  it('is not given before it may be', () => {
    expect(namesOf(new StatementNames(), 'SELECT $1', 9)).toEqual(Array(9).fill(null));
  });

  it('is given to 256, however many are sent', () => {
    const names = begun();
    const texts = Array.from({ length: 400 }, (_, index) => `SELECT $1 + ${index}`);
    const named = texts.filter((text) => namesOf(names, text, 6).at(-1) !== null);
    expect(named).toEqual(texts.slice(0, 256));
    expect(names.nameOf(texts[0] ?? '')).not.toBeNull();
  });

  it('does not remember all that is sent once', () => {
    const names = begun();
    for (let index = 0; index < 4; index += 1) names.nameOf('SELECT $1');
    for (let index = 0; index < 1_000; index += 1) names.nameOf(`SELECT $1 + ${index}`);
    expect(names.nameOf('SELECT $1')).toBeNull();
  });
});
