import { settings } from '../src/config/settings.js';
import type { EntryMeta } from '../src/config/values.js';

const COMMENT_WIDTH = 100;

interface Entry extends EntryMeta {
  name: string;
  description: string;
}

/** `docs/configuration.md`. */
export function renderConfigurationDocs(): string {
  const tables = groups().map(({ title, entries }) => {
    const rows = entries.map(
      (entry) =>
        `| \`${entry.name}\`${entry.secret ? ' (secret)' : ''} | ${defaultOf(entry)} | ${entry.allowed} | ${entry.description} |`,
    );
    return `## ${title}

| name | default | allowed | what |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
  });
  return `<!-- Generated from src/config/settings.ts by \`npm run generate\`. -->

# Configuration

Every setting is an environment variable, or a line of the file \`.env\` in the working directory; the environment wins.
None is needed in development. \`.env.example\` lists them all with their defaults. An empty value counts as absent.

The service checks everything before it starts: a value that is not allowed, and settings that contradict each other, stop
the start with one message that names each of them, and never shows a value.

- **Time spans** are a whole number and a unit: \`30s\`, \`5m\`, \`24h\`, \`7d\`.
- **Rates** are a number of times in a time span: \`30/1m\` is thirty times a minute. Where several are allowed, separated by
  commas, all of them hold.
- **Switches** are \`on\` or \`off\` (\`true\` and \`false\` are understood). A limit or time span that allows \`off\` is switched off
  by it.
- **Lists** are separated by commas.
- **Secrets** can also be read from a file, as container platforms mount them: set \`NAME_FILE\` instead of \`NAME\`, for
  example \`SECRET_KEY_FILE=/run/secrets/secret-key\`. Setting both stops the start.
- With \`NODE_ENV=production\` the settings that are described as required in production must be set.

${tables.join('\n')}`;
}

/** `.env.example`. Every entry is commented out, so that a copy of it changes nothing. */
export function renderEnvExample(): string {
  const parts = groups().map(({ title, entries }) => `# ---- ${title} ----\n\n${entries.map(envEntry).join('\n')}`);
  return `# Generated from src/config/settings.ts by \`npm run generate\`.
#
# Copy this file to .env and uncomment what you change; the values are the defaults. See docs/configuration.md.

${parts.join('\n')}`;
}

function envEntry({ name, description, allowed, secret, default: value = '' }: Entry): string {
  const hint = secret ? ` Or ${name}_FILE: a file that holds it.` : '';
  const comment = wrapped(`${description}${hint}`).map((line) => `# ${line}\n`);
  return `${comment.join('')}# Allowed: ${allowed}\n#${name}=${quoted(value)}\n`;
}

function quoted(value: string): string {
  return /^[\w.,:/-]*$/.test(value) ? value : `"${value}"`;
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > COMMENT_WIDTH) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function defaultOf({ default: value }: Entry): string {
  if (value === undefined) return 'absent';
  return value === '' ? 'empty' : `\`${value}\``;
}

function groups(): { title: string; entries: Entry[] }[] {
  return Object.values(settings).map(({ title, schema }) => ({
    title,
    entries: Object.entries<{ meta(): unknown }>(schema.in.shape).map(([name, entry]) => readEntry(name, entry.meta())),
  }));
}

function readEntry(name: string, meta: unknown): Entry {
  const { description, allowed, ...rest } = (meta ?? {}) as Partial<Entry>;
  if (!description || !allowed) throw new Error(`${name} says not what it is or what it may be`);
  return { ...rest, name, description, allowed };
}
