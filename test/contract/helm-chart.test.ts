import { Ajv } from 'ajv';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { ANY_NAME, parseDuration, type EntryMeta } from '../../src/config/values.js';
import { settings } from '../../src/config/settings.js';

// Neither helm nor another engine for its templates is at hand here: expressions are replaced, not evaluated.

const CHART = join(import.meta.dirname, '../../deploy/helm/countersign');
const read = (file: string) => readFileSync(join(CHART, file), 'utf8');

interface Values {
  settings: Record<string, string>;
  terminationGracePeriodSeconds: number;
  [name: string]: unknown;
}

const values = () => parse(read('values.yaml')) as Values;
const validate = new Ajv({ strict: true, strictTypes: false, strictRequired: false, allowUnionTypes: true }).compile(
  JSON.parse(read('values.schema.json')) as object,
);
const templates = readdirSync(join(CHART, 'templates')).map((name) => ({ name, text: read(join('templates', name)) }));
const everything = templates.map(({ text }) => text).join('\n');

const entries = Object.values(settings).flatMap(({ schema }) =>
  Object.entries<{ meta(): unknown }>(schema.in.shape).map(([name, entry]) => ({
    // One member stands for its family.
    name: name.replace(ANY_NAME, 'CORP'),
    secret: (entry.meta() as Partial<EntryMeta> | undefined)?.secret === true,
  })),
);
const names = new Set(entries.map(({ name }) => name));

describe('the values', () => {
  it('are as their schema says', () => {
    expect(validate(values()), JSON.stringify(validate.errors)).toBe(true);
  });

  it.each([
    ['a name that is none', { unknown: 1 }],
    ['a setting that is not text', { settings: { DATABASE_POOL_SIZE: 10 } }],
    ['an ingress without a host', { ingress: { enabled: true, host: '' } }],
    ['a grace that is shorter than the drain', { terminationGracePeriodSeconds: 30 }],
    ['no secret at all', { existingSecret: null }],
  ])('are refused with %s', (_, change) => {
    expect(validate({ ...values(), ...change })).toBe(false);
  });

  it('take no secret: it would stay in the history of the release', () => {
    const secrets = entries.filter(({ secret }) => secret).map(({ name }) => name);
    expect(secrets).toContain('SECRET_KEY');
    for (const name of secrets)
      expect([name, validate({ ...values(), settings: { [name]: 'x' } })]).toEqual([name, false]);
  });

  it('give the drain the time that it may take', () => {
    const { settings: set, terminationGracePeriodSeconds } = values();
    const delay = parseDuration(set['SHUTDOWN_DELAY'] ?? '') ?? 0;
    expect(delay).toBeGreaterThan(2);
    expect(terminationGracePeriodSeconds).toBeGreaterThan(delay + 15 + 25);
  });
});

describe('the settings', () => {
  it('of values and templates exist', () => {
    const inTemplates = [...everything.matchAll(/- name: ([A-Z][A-Z0-9_]+)$/gm)].map(([, name]) => name ?? '');
    expect(inTemplates).toContain('METRICS_PORT');
    for (const name of [...inTemplates, ...Object.keys(values().settings)]) expect(names).toContain(name);
  });

  it('that the schema refuses exist', () => {
    const schema = JSON.parse(read('values.schema.json')) as {
      properties: { settings: { propertyNames: { not: { enum: string[] } } } };
    };
    for (const name of schema.properties.settings.propertyNames.not.enum) expect(names).toContain(name);
  });
});

describe('the templates', () => {
  it('name only values that exist', () => {
    const paths = [...everything.matchAll(/\.Values\.([\w.]+)/g)].map(([, path]) => path ?? '');
    expect(paths.length).toBeGreaterThan(40);
    for (const path of paths) {
      const found = path
        .split('.')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], values());
      expect([path, found === undefined]).toEqual([path, false]);
    }
  });

  it('include only what is defined', () => {
    const defined = [...everything.matchAll(/define "([^"]+)"/g)].map(([, name]) => name);
    for (const [, name] of everything.matchAll(/include "([^"]+)"/g)) expect(defined).toContain(name);
  });

  it.each(templates)('$name closes what it opens', ({ text }) => {
    const opened = [...text.matchAll(/\{\{-? *(if|range|with|define)\b/g)].length;
    expect([...text.matchAll(/\{\{-? *end\b/g)]).toHaveLength(opened);
  });

  it.each(templates.filter(({ name }) => name.endsWith('.yaml')))(
    '$name is YAML around its expressions',
    ({ text }) => {
      const documents = parseAllDocuments(withoutExpressions(text));
      expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
      for (const document of documents) expect(document.toJS()).toMatchObject({ kind: expect.any(String) as string });
    },
  );

  it('run as nobody in particular, on a file system that is read-only', () => {
    const [deployment, job] = ['deployment.yaml', 'migrations.yaml'].map((name) => read(join('templates', name)));
    for (const text of [deployment, job]) {
      expect(text).toContain('include "countersign.podSecurity"');
      expect(text).toContain('include "countersign.containerSecurity"');
    }
    for (const line of ['runAsNonRoot: true', 'readOnlyRootFilesystem: true', 'allowPrivilegeEscalation: false']) {
      expect(everything).toContain(line);
    }
  });

  it('ask the paths that the service answers', () => {
    const paths = [...everything.matchAll(/^ +path: (\/\S+)$/gm)].map(([, path]) => path);
    expect(new Set(paths)).toEqual(new Set(['/health/live', '/health/ready', '/metrics']));
  });
});

/** Lines of control flow go; a block that is put in becomes a comment, and a value becomes a word. */
function withoutExpressions(text: string): string {
  let count = 0;
  return text
    .replace(/^ *\{\{-? *(if|else|end|with|range|define)\b.*\}\}$/gm, '')
    .replace(
      /^( *)\{\{- *(include|toYaml)\b.*nindent.*\}\}$/gm,
      (_, indent: string) => `${indent}placeholder${(count += 1)}: true`,
    )
    .replace(/\{\{.*?\}\}/g, 'word');
}
