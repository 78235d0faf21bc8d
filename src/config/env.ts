import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { findContradictions } from './checks.js';
import type { Settings } from './config.js';
import { ANY_NAME, BETWEEN_FILES, type EntryMeta } from './values.js';
import { settings, type SettingsGroup } from './settings.js';

/** The configuration stops the boot. Every line names a setting; none shows a value. */
export class ConfigurationError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'ConfigurationError';
  }
}

export type Variables = Readonly<Record<string, string | undefined>>;

/** The process environment over `.env`: what is set by the one who starts the process wins. */
export function environment(file = '.env'): Variables {
  const fromFile = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
  return { ...fromFile, ...process.env };
}

/** OpenTelemetry reads its settings from the process alone, so those that stand in `.env` are put there. */
export function shareWithOpenTelemetry(variables: Variables): void {
  for (const [name, value] of Object.entries(variables)) {
    if (name.startsWith('OTEL_')) process.env[name] = value;
  }
}

/** Parses every feature's schema once and looks for contradictions; throws one error that lists them all. */
export function readSettings(variables: Variables): Settings {
  const problems: string[] = [];
  const read = <G extends SettingsGroup>(group: G): Settings[G] => {
    const { schema } = settings[group];
    const input = Object.fromEntries(
      Object.entries<{ meta(): unknown }>(schema.in.shape).map(([name, entry]) => [
        name,
        (name.includes(ANY_NAME) ? membersOf : valueOf)(
          name,
          (entry.meta() ?? {}) as Partial<EntryMeta>,
          variables,
          problems,
        ),
      ]),
    );
    const result = schema.safeParse(input);
    if (!result.success) {
      problems.push(...result.error.issues.map(({ path, message }) => `${nameAt(path)}: ${message}`));
    }
    return result.data as Settings[G];
  };
  const parsed: Settings = {
    server: read('server'),
    storage: read('storage'),
    secrets: read('secrets'),
    mail: read('mail'),
    sms: read('sms'),
    codes: read('codes'),
    twoFactor: read('twoFactor'),
    tokens: read('tokens'),
    accounts: read('accounts'),
    invitations: read('invitations'),
    identityRules: read('identityRules'),
    limits: read('limits'),
    audit: read('audit'),
    gateway: read('gateway'),
    webhooks: read('webhooks'),
    metrics: read('metrics'),
    social: read('social'),
  };
  if (problems.length === 0) problems.push(...findContradictions(parsed));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return parsed;
}

/** A secret may also stand in a file (`NAME_FILE`), as container platforms mount them. Empty means absent. */
function valueOf(
  name: string,
  { secret, severalFiles }: Partial<EntryMeta>,
  variables: Variables,
  problems: string[],
): string | undefined {
  const file = secret ? variables[`${name}_FILE`] : undefined;
  const value = variables[name];
  if (!file) return value === '' ? undefined : value;
  if (value) problems.push(`${name} and ${name}_FILE are both set; keep one`);
  const files = severalFiles ? file.split(',') : [file];
  try {
    return files.map((each) => readFileSync(each.trim(), 'utf8').trim()).join(BETWEEN_FILES);
  } catch {
    problems.push(`${name}_FILE: the file cannot be read`);
    return undefined;
  }
}

/** What is set of a family, by the name that stands in the place of ANY_NAME. */
function membersOf(
  family: string,
  meta: Partial<EntryMeta>,
  variables: Variables,
  problems: string[],
): Record<string, string> {
  const pattern = new RegExp(`^${family.replace(ANY_NAME, '([A-Z0-9]+)')}(?:_FILE)?$`);
  const names = new Set(Object.keys(variables).flatMap((variable) => pattern.exec(variable)?.[1] ?? []));
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const value = valueOf(family.replace(ANY_NAME, name), meta, variables, problems);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** The name of the setting that a fault is in. */
function nameAt([entry, name]: readonly PropertyKey[]): string {
  return String(entry).replace(ANY_NAME, String(name));
}
