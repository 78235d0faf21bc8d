import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJsonBody } from './json-body.js';

const refused = expect.objectContaining({ code: 'malformed_body' }) as unknown;

/** What was read, or the refusal. */
function read(body: string | Buffer): unknown {
  try {
    return parseJsonBody(Buffer.from(body as string, 'utf8'));
  } catch (problem) {
    return problem;
  }
}

describe('a body', () => {
  it('is one JSON object', () => {
    expect(read('{"a":"ä🦄","b":[1,{"c":null}],"d":true}')).toEqual({ a: 'ä🦄', b: [1, { c: null }], d: true });
    expect(read(' \n{}\t ')).toEqual({});
  });

  it('that is not there is an object without properties: what is missing is named field by field', () => {
    expect(read('')).toEqual({});
  });

  it.each([
    'null',
    '[]',
    '[{}]',
    '"a"',
    '1',
    'true',
    '{',
    '{}{}',
    '{a:1}',
    "{'a':1}",
    '{"a":1,}',
    'NaN',
    ' ',
    '{"a":01}',
    '// {}',
  ])('is not %s', (text) => {
    expect(read(text)).toEqual(refused);
  });

  it.each<[string, Buffer]>([
    ['a byte order mark', Buffer.from('\ufeff{}')],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le')],
    ['Latin-1', Buffer.from('{"a":"ä"}', 'latin1')],
    ['an overlong encoding', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')])],
    [
      'an encoded surrogate',
      Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
    ],
    ['a cut character', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xf0, 0x9f]), Buffer.from('"}')])],
  ])('is UTF-8, not %s', (_what, bytes) => {
    expect(read(bytes)).toEqual(refused);
  });

  it.each([
    '{"a":"x\\u0000"}',
    '{"a\\u0000":1}',
    '{"a":["\\ud800"]}',
    '{"a":{"b":"\\udfff"}}',
    '{"\\udfff":1}',
    '{"a":"\\udc00\\ud800"}',
  ])('holds characters, not %s', (text) => {
    expect(read(text)).toEqual(refused);
  });

  it('may hold what is rare but a character', () => {
    expect(read('{"a":"\\ud83e\\udd84 \\u0001 \\u202e \\ufffd \\uffff"}')).toEqual({
      a: '🦄 \u0001 \u202e \ufffd \uffff',
    });
  });

  it.each(['prototype', ...Object.getOwnPropertyNames(Object.prototype)])(
    'names no property %s, at any depth',
    (name) => {
      for (const text of [`{"${name}":1}`, `{"a":{"${name}":{}}}`, `{"a":[[{"${name}":null}]]}`]) {
        expect(read(text), text).toEqual(refused);
      }
      expect(read(`{"a":"${name}","x${name}":1}`)).not.toEqual(refused);
    },
  );

  it('is at most sixteen levels deep, arrays and objects alike', () => {
    expect(read(`{"a":${'['.repeat(15)}${']'.repeat(15)}}`)).not.toEqual(refused);
    expect(read(`{"a":${'['.repeat(16)}${']'.repeat(16)}}`)).toEqual(refused);
    expect(read(`${'{"a":'.repeat(16)}1${'}'.repeat(16)}`)).not.toEqual(refused);
    expect(read(`${'{"a":'.repeat(17)}1${'}'.repeat(17)}`)).toEqual(refused);
    expect(read(`{"a":${'['.repeat(16_000)}${']'.repeat(16_000)}}`)).toEqual(refused);
  });

  it('has at most 256 keys an object, and as many items of an array as fit', () => {
    const keys = (count: number) => `{${Array.from({ length: count }, (_, index) => `"k${index}":1`).join()}}`;
    expect(read(keys(256))).not.toEqual(refused);
    expect(read(keys(257))).toEqual(refused);
    expect(read(`{"a":[${keys(257)}]}`)).toEqual(refused);
    expect(read(`{"a":[${Array(10_000).fill('1').join()}]}`)).not.toEqual(refused);
  });

  it('whatever the bytes are: is read or refused, and nothing else happens', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const result = read(Buffer.from(bytes));
        expect(result instanceof Error ? result : undefined).toEqual(result instanceof Error ? refused : undefined);
      }),
    );
    fc.assert(
      fc.property(fc.json({ maxDepth: 20 }), (text) => {
        const result = read(text);
        if (!(result instanceof Error)) expect(result).toEqual(JSON.parse(text));
      }),
    );
    expect({}).toEqual(Object.create(Object.prototype));
  });
});
