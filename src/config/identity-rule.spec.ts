import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConfigurationError, readSettings } from './env.js';
import { readIdentityRules } from './identity-rule.js';

/** Patterns, or what is wrong. */
const read = (text: string) => readIdentityRules(text).map((each) => ('fault' in each ? each : each.pattern));

describe('an entry', () => {
  it('says what happens to what, for which purpose, and where it stands', () => {
    expect(readIdentityRules('# ours\n\ndeny  email   *@Evil.example for registration   # since June\r\n')).toEqual([
      {
        effect: 'deny',
        subject: 'email',
        pattern: '*@evil.example',
        purpose: 'registration',
        text: 'deny email *@Evil.example for registration',
        place: 'line 3',
      },
    ]);
  });

  it('stands on a line of its own or between semicolons', () => {
    const places = readIdentityRules('allow ip ::1; ;deny ip ::/0;\ndeny username reserved').map(({ place }) => place);
    expect(places).toEqual(['line 1, entry 1', 'line 1, entry 3', 'line 2']);
    expect(readIdentityRules(' ; \n # nothing\n')).toEqual([]);
  });

  it.each([
    ['email', '*@MÜLLER.example', '*@xn--mller-kva.example'],
    ['email', 'Ada+*@*.test', 'ada+*@*.test'],
    ['email', 'spam#*', 'spam#*'],
    ['email-domain', 'disposable', 'disposable'],
    ['email-domain', 'Bücher.example', 'xn--bcher-kva.example'],
    ['phone', '+4990*', '+4990*'],
    ['phone-type', 'voip', 'voip'],
    ['phone-country', 'GB', 'GB'],
    ['username', 'ＢＯＴ*', 'bot*'],
    ['ip', '192.0.2.1', '192.0.2.1/32'],
    ['ip', '10.0.0.0/8', '10.0.0.0/8'],
    ['ip', '0.0.0.0/0', '0.0.0.0/0'],
    ['ip', '2001:db8::/32', '2001:db8::/32'],
    ['ip', '::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ])('keeps a pattern in the form that it is compared with: %s %s', (subject, pattern, canonical) => {
    expect(read(`deny ${subject} ${pattern}`)).toEqual([canonical]);
  });

  it.each([
    'refuse email *@evil.example',
    'deny',
    'deny email',
    'deny emails *@evil.example',
    'deny toString x',
    'deny email *@evil.example registration',
    'deny email *@evil.example for',
    'deny email *@evil.example for everything',
    'deny email *@evil.example for codes registration',
    'deny email evil.example',
    'deny email *@',
    'deny email *@..',
    'deny email *@mü*.example',
    `deny email *@${'a'.repeat(260)}`,
    'deny email-domain *.example',
    'deny email-domain @evil.example',
    'deny phone 0900*',
    'deny phone +49(90)*',
    'deny phone-type premium',
    'deny phone-country UK',
    'deny phone-country de',
    'deny username ---',
    'deny username *bot for codes',
    'deny ip 10.0.0.0/33',
    'deny ip 10.0.0/8',
    'deny ip 10.0.0.0/8/8',
    'deny ip 010.0.0.1',
    'deny ip ::/129',
    'deny ip /^10/',
  ])('is not understood: %s', (text) => {
    const faults = read(`allow ip ::1\n${text}`).slice(1);
    expect(faults).toEqual([
      { place: 'line 2', fault: expect.stringMatching(/^(must be|the pattern must be|codes go to) /) as string },
    ]);
  });
});

describe('the settings', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-rules-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const file = (text: string) => {
    const path = join(folder, 'rules.txt');
    writeFileSync(path, text);
    return path;
  };
  const entriesOf = (variables: Record<string, string>) =>
    readSettings(variables).identityRules.rules.map(({ text, place }) => `${place}: ${text}`);
  const problemsOf = (variables: Record<string, string>) => {
    try {
      return entriesOf(variables);
    } catch (error) {
      return (error as ConfigurationError).problems;
    }
  };

  it('keep reserved names back where nothing is said, and only there', () => {
    expect(entriesOf({})).toEqual(['IDENTITY_RULES, line 1: deny username reserved']);
    expect(entriesOf({ IDENTITY_RULES: 'deny ip 10.0.0.0/8' })).toEqual(['IDENTITY_RULES, line 1: deny ip 10.0.0.0/8']);
  });

  it('read the file first, then the environment', () => {
    const IDENTITY_RULES_FILE = file('# list\ndeny email *@a.example\n\nallow ip ::1\n');
    expect(entriesOf({ IDENTITY_RULES_FILE, IDENTITY_RULES: 'deny ip ::/0; deny username reserved' })).toEqual([
      'IDENTITY_RULES_FILE, line 2: deny email *@a.example',
      'IDENTITY_RULES_FILE, line 4: allow ip ::1',
      'IDENTITY_RULES, line 1, entry 1: deny ip ::/0',
      'IDENTITY_RULES, line 1, entry 2: deny username reserved',
    ]);
  });

  it('name every line that stops the start, and show none', () => {
    const IDENTITY_RULES_FILE = file('deny email *@a.example\ndeny email canary\n');
    const problems = problemsOf({ IDENTITY_RULES_FILE, IDENTITY_RULES: 'allow canary; deny ip canary' });
    expect(problems.map((problem) => problem.slice(0, 45))).toEqual([
      'IDENTITY_RULES: line 1, entry 1: must be `all',
      'IDENTITY_RULES: line 1, entry 2: the pattern ',
      'IDENTITY_RULES_FILE: line 2: the pattern must',
    ]);
    expect(problems.join()).not.toContain('canary');
    expect(problemsOf({ IDENTITY_RULES_FILE: join(folder, 'none') })).toEqual([
      'IDENTITY_RULES_FILE: the file cannot be read',
    ]);
  });
});
