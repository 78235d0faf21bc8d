import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Handlebars from 'handlebars';
import type { Mail } from './channels.js';
import type { LocaleTexts, Message, MessageKind } from './messages.js';
import * as english from './templates/en/subjects.js';

/** One line a locale; its folder below `templates/` has the same name. */
const locales = { en: english satisfies LocaleTexts };

export type Locale = keyof typeof locales;

/** The list that the boot checks against the folder; the type demands every kind. */
const kinds: Record<MessageKind, true> = {
  'sign-in-code': true,
  'device-code': true,
  'account-exists': true,
  'wrong-codes': true,
  'device-added': true,
  'device-removed': true,
  'password-changed': true,
};

type Render = (context: object) => string;
type Format = 'html' | 'text';

/** Every template, compiled: one that is missing or cannot be read stops the boot instead of a mail. */
export class Templates {
  private readonly compiled = new Map<string, Render>();

  constructor(folder: string = join(import.meta.dirname, 'templates')) {
    for (const locale of Object.keys(locales)) {
      for (const name of ['layout', ...Object.keys(kinds)]) {
        for (const format of ['html', 'text'] as const) {
          const file = `${locale}/${name}.${format}.hbs`;
          this.compiled.set(file, compile(folder, file, format));
        }
      }
    }
  }

  render(message: Message, locale: Locale = 'en'): Pick<Mail, 'subject' | 'text' | 'html'> {
    const texts: LocaleTexts = locales[locale];
    const values = oneLineValues(message);
    const subject = oneLine((texts.subjects[message.kind] as (message: Message) => string)(values));
    const context =
      'deviceType' in values
        ? { ...values, deviceType: texts.deviceTypes[values.deviceType] ?? values.deviceType }
        : values;
    const page = (format: Format) => {
      const body = this.template(locale, message.kind, format)(context).trim();
      return this.template(locale, 'layout', format)({ subject, body });
    };
    return { subject, text: page('text'), html: page('html') };
  }

  private template(locale: Locale, name: string, format: Format): Render {
    const render = this.compiled.get(`${locale}/${name}.${format}.hbs`);
    if (!render) throw new Error(`No template ${locale}/${name}.${format}.hbs`);
    return render;
  }
}

function compile(folder: string, file: string, format: Format): Render {
  try {
    const source = readFileSync(join(folder, file), 'utf8');
    const ast = Handlebars.parse(source); // compile() itself only parses at the first rendering
    return Handlebars.compile(ast, { noEscape: format === 'text', strict: true, knownHelpersOnly: true });
  } catch (cause) {
    throw new Error(`The mail template ${join(folder, file)} cannot be used: ${(cause as Error).message}`, { cause });
  }
}

/** A name with line breaks could write sentences of its own into a mail of ours. */
function oneLineValues<M extends Message>(message: M): M {
  const entries = Object.entries(message).map(([key, value]) => [
    key,
    typeof value === 'string' ? oneLine(value) : value,
  ]);
  return Object.fromEntries(entries) as M;
}

/** Also drops what reverses or hides text (bidirectional controls, zero width characters). */
function oneLine(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/\p{Cf}/gu, '')
    .trim();
}
