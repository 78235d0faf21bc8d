import type {
  OperationObject,
  ParameterObject,
  ReferenceObject,
  RequestBodyObject,
  SchemaObject,
} from '@nestjs/swagger';
import fc, { type Arbitrary } from 'fast-check';
import { openApi } from '../support/openapi.js';

/** One request, as it goes out. `why` says what is wrong with it, for whoever reads a failure. */
export interface FuzzedRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  payload?: string;
  why: string;
}

/** Things that exist, by the name of the field that takes them: made-up ones would end at the first look-up. */
export type Known = Readonly<Record<string, readonly string[]>>;

export interface Operation {
  path: string;
  method: Lowercase<FuzzedRequest['method']>;
  operation: OperationObject;
}

type AnySchema = SchemaObject | ReferenceObject;
type Body = Record<string, unknown>;

/** Text that breaks readers: NUL, halves of characters, right-to-left, letters that combine, syntax of others. */
const HOSTILE = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udc00\ud83d',
  '\u202egnp.exe',
  'مرحبا',
  `Z${'\u0301'.repeat(60)}`,
  'ﬃ',
  'İıŞ',
  '\ufeff',
  '🦄'.repeat(40),
  "' OR 1=1--",
  '%00%s%n',
  '${7*7}{{7*7}}',
  '<script>',
  '__proto__',
  'a\r\nSet-Cookie: a=b',
  '9'.repeat(400),
  'a'.repeat(5_000),
] as const;
const OTHER_TYPES = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  -1e308,
  2 ** 53,
  [],
  [[]],
  {},
  { a: 1 },
  [null],
  '',
] as const;
const MEDIA_TYPES = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'a', ''];
const JUNK_TOKENS = ['', 'x', 'a.b.c', '..', 'e30.e30.', 'Bearer', 'x'.repeat(9_000)];

/** Requests of one operation: mostly one fault in what is otherwise right, so that every check is reached. */
export function requestsOf({ path, method, operation }: Operation, known: Known): Arbitrary<FuzzedRequest> {
  const parameters = (operation.parameters ?? []) as ParameterObject[];
  const schema = (operation.requestBody as RequestBodyObject | undefined)?.content['application/json']?.schema;
  return fc
    .record({
      path: pathOf(path, parameters, known),
      query: queryOf(parameters, known),
      body: schema ? bodyOf(schema, known) : fc.constant(undefined),
      token: tokenOf(known),
    })
    .map(({ path: url, query, body, token }) => ({
      method: method.toUpperCase() as FuzzedRequest['method'],
      url: query === '' ? url : `${url}?${query}`,
      headers: {
        ...(body && body.type !== '' ? { 'content-type': body.type } : {}),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body ? { payload: body.text } : {}),
      why: body?.why ?? 'path, query or token',
    }));
}

function pathOf(path: string, parameters: ParameterObject[], known: Known): Arbitrary<string> {
  const names = parameters.filter((each) => each.in === 'path').map(({ name }) => name);
  const value = (name: string) =>
    fc.oneof({ weight: 8, arbitrary: knownOr(name, fc.uuid(), known) }, { weight: 1, arbitrary: hostile() });
  return fc
    .record(Object.fromEntries(names.map((name) => [name, value(name)])))
    .map((values) => names.reduce((url, name) => url.replace(`{${name}}`, segment(values[name] ?? '')), path));
}

function queryOf(parameters: ParameterObject[], known: Known): Arbitrary<string> {
  const fields = parameters.filter((each) => each.in === 'query');
  const one = (field: ParameterObject) =>
    fc
      .oneof(
        { weight: 4, arbitrary: knownOr(field.name, valueOf(field.schema ?? {}, known), known) },
        { weight: 1, arbitrary: atTheEdge(field.schema ?? {}, known) },
        { weight: 1, arbitrary: hostile() },
      )
      .map((value) => `${field.name}=${segment(String(value))}`);
  const pairs = [...fields.map(one), fc.constantFrom('x=1', 'limit=1', '__proto__[a]=1', '&&=&', '%')];
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant('') },
    { weight: 2, arbitrary: fc.array(fc.oneof(...pairs), { maxLength: 3 }).map((each) => each.join('&')) },
  );
}

function tokenOf(known: Known): Arbitrary<string | null> {
  return fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...(known['bearer'] ?? [])) },
    { weight: 1, arbitrary: fc.constantFrom(...JUNK_TOKENS) },
    { weight: 1, arbitrary: fc.constant(null) },
  );
}

function bodyOf(schema: AnySchema, known: Known): Arbitrary<{ text: string; type: string; why: string }> {
  const json = 'application/json';
  const right = valueOf(schema, known) as Arbitrary<Body>;
  const fields = Object.entries(propertiesOf(schema));
  const json1 = (why: string) => (value: unknown) => ({ text: JSON.stringify(value), type: json, why });
  const withOne = (field: [string, AnySchema], values: Arbitrary<unknown>, why: string) =>
    fc.tuple(right, values).map(([body, value]) => json1(`${why} in ${field[0]}`)({ ...body, [field[0]]: value }));
  const broken = fields.flatMap((field) => [
    withOne(field, fc.constantFrom<unknown>(...OTHER_TYPES), 'another type'),
    withOne(field, atTheEdge(field[1], known), 'an edge'),
    withOne(field, hostile(), 'hostile text'),
  ]);
  return fc.oneof(
    { weight: 8, arbitrary: right.map(json1('nothing in the body')) },
    ...broken.map((arbitrary) => ({ weight: Math.max(1, Math.floor(16 / broken.length)), arbitrary })),
    {
      weight: 1,
      arbitrary: fc.tuple(right, hostile()).map(([body, key]) => json1('an extra key')({ ...body, [key]: 1 })),
    },
    {
      weight: 1,
      arbitrary: right.map((body) => {
        const [field = 'a'] = Object.keys(body);
        return { text: JSON.stringify(body).replace('{', `{"${field}":"x",`), type: json, why: `${field} twice` };
      }),
    },
    { weight: 1, arbitrary: right.map((body) => ({ text: numberIn(body), type: json, why: 'a huge number' })) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(right, fc.constantFrom(...MEDIA_TYPES))
        .map(([body, type]) => ({ text: JSON.stringify(body), type, why: `the media type "${type}"` })),
    },
    {
      weight: 1,
      arbitrary: fc
        .oneof(fc.json(), fc.string({ unit: 'binary' }), fc.constantFrom('', '{', '[', '{"a":}', 'null', '[{}]'))
        .map((text) => ({ text, type: json, why: 'no such object' })),
    },
  );
}

/** JSON can write numbers that no computer holds. */
function numberIn(body: Body): string {
  const [field = 'a'] = Object.keys(body);
  return JSON.stringify({ ...body, [field]: '@' }).replace('"@"', '1e999999');
}

/** What the schema lets through, leaving out what need not be there. */
function valueOf(given: AnySchema, known: Known): Arbitrary<unknown> {
  const schema = resolve(given);
  const members = schema.oneOf ?? schema.anyOf;
  if (members) return fc.oneof(...members.map((each) => valueOf(each, known)));
  if (schema.enum) return fc.constantFrom<unknown>(...(schema.enum as unknown[]));
  const types: string[] = [schema.type ?? ((schema.properties ?? schema.allOf) ? 'object' : 'string')].flat();
  return fc.oneof(...types.map((type) => valueOfType(type, schema, known)));
}

function valueOfType(type: string, schema: SchemaObject, known: Known): Arbitrary<unknown> {
  switch (type) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'integer':
    case 'number':
      return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 1_000 });
    case 'array':
      return fc.array(valueOf(schema.items ?? {}, known), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 5, 5),
      });
    case 'object':
      return objectOf(schema, known);
    default:
      return textOf(schema);
  }
}

function objectOf(schema: SchemaObject, known: Known): Arbitrary<Body> {
  const required = new Set([schema, ...(schema.allOf ?? []).map(resolve)].flatMap((each) => each.required ?? []));
  const fields = Object.entries(propertiesOf(schema)).map(([name, each]) => [
    name,
    knownOr(name, valueOf(each, known), known),
  ]);
  const requiredKeys = [...required].filter((name) => fields.some(([field]) => field === name));
  return fc.record(Object.fromEntries(fields) as Record<string, Arbitrary<unknown>>, { requiredKeys });
}

function textOf(schema: SchemaObject): Arbitrary<string> {
  const { minLength = 0, maxLength = 60, format } = schema;
  const random = fc.string({
    unit: 'grapheme',
    minLength: Math.min(minLength, 200),
    maxLength: Math.max(minLength, Math.min(maxLength, 200)),
  });
  const fitting = formatted(format);
  const samples = [schema.example, ...((schema['examples'] as unknown[] | undefined) ?? [])].filter(
    (each) => typeof each === 'string',
  );
  const sampled = samples.length > 0 ? fc.constantFrom(...samples) : random;
  return fitting ? fc.oneof(fitting, sampled) : fc.oneof(sampled, random);
}

/** Names that lead nowhere: what is stored may be called later. */
function formatted(format: string | undefined): Arbitrary<string> | null {
  const name = fc.string({ unit: fc.constantFrom(...'abcxyz019'), minLength: 3, maxLength: 20 });
  switch (format) {
    case 'uuid':
      return fc.uuid();
    case 'idn-email':
      return name.map((each) => `${each}@example.test`);
    case 'uri':
      return name.map((each) => `https://${each}.test/`);
    case 'date-time':
      return fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') })
        .map((each) => each.toISOString());
    default:
      return null;
  }
}

/** One less than the least, the least, the most and one more. */
function atTheEdge(given: AnySchema, known: Known): Arbitrary<unknown> {
  const schema = resolve(given);
  const members = schema.oneOf ?? schema.anyOf;
  if (members) return fc.oneof(...members.map((each) => atTheEdge(each, known)));
  const around = (min = 0, max = 100) => fc.constantFrom(min - 1, min, max, max + 1);
  const types = [schema.type ?? 'string'].flat();
  if (types.includes('number') || types.includes('integer')) return around(schema.minimum, schema.maximum);
  if (types.includes('array')) {
    const lengths = around(schema.minItems, Math.min(schema.maxItems ?? 50, 1_000));
    return fc
      .tuple(valueOf(schema.items ?? {}, known), lengths)
      .map(([one, n]) => Array<unknown>(Math.max(0, n)).fill(one));
  }
  if (types.includes('object') || schema.properties) return fc.constantFrom<unknown>({}, { a: { b: { c: {} } } });
  return fc
    .tuple(fc.constantFrom('a', 'ß', '🦄', '1'), around(schema.minLength, Math.min(schema.maxLength ?? 300, 9_000)))
    .map(([unit, n]) => unit.repeat(Math.max(0, n)));
}

function hostile(): Arbitrary<string> {
  return fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary', maxLength: 40 }));
}

function knownOr(name: string, otherwise: Arbitrary<unknown>, known: Known): Arbitrary<string> {
  const values = known[name];
  const other = otherwise as Arbitrary<string>;
  return values && values.length > 0 ? fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...values) }, other) : other;
}

function propertiesOf(given: AnySchema): Record<string, AnySchema> {
  const schema = resolve(given);
  const parts = [...(schema.allOf ?? []), ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])];
  return Object.assign({}, ...parts.map(propertiesOf), schema.properties) as Record<string, AnySchema>;
}

function resolve(schema: AnySchema): SchemaObject {
  if (!('$ref' in schema)) return schema;
  const name = schema.$ref.split('/').at(-1) ?? '';
  return resolve(openApi.components?.schemas?.[name] ?? {});
}

/** A part of a path or of a query; halves of characters become the sign for them, and dots would be another path. */
function segment(text: string): string {
  const written = encodeURIComponent(Buffer.from(text).toString());
  return written === '' || /^\.+$/.test(written) ? '%20' : written;
}
