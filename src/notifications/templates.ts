import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Handlebars from 'handlebars';
import type { Mail } from './channels.js';
import { DEFAULT_LOCALE, LOCALES, type Locale } from './locale.js';
import type { CodeMessage, LocaleTexts, Message, MessageKind, PartialTexts } from './messages.js';
import * as german from './templates/de/subjects.js';
import * as english from './templates/en/subjects.js';

const texts = { en: english satisfies LocaleTexts, de: german } satisfies Record<Locale, PartialTexts>;

/** The list that the boot checks against the folder; the type demands every kind. */
const kinds: Record<MessageKind, true> = {
  'sign-in-code': true,
  'device-code': true,
  'account-exists': true,
  'wrong-codes': true,
  'wrong-passwords': true,
  'device-added': true,
  'device-removed': true,
  'device-disabled': true,
  'password-changed': true,
  'first-factor-code': true,
  'magic-link': true,
  'password-reset': true,
  'recovery-codes-created': true,
  'recovery-code-used': true,
  'factor-changed': true,
  'refresh-token-reused': true,
  'browser-trusted': true,
  'address-changed': true,
  'two-factor-reset': true,
  'identity-connected': true,
  'identity-disconnected': true,
  'account-deactivated': true,
  'account-deleted': true,
  invitation: true,
  'invitation-accepted': true,
};

const FORMATS = ['html', 'text'] as const;
/** So many recovery codes or fewer are a reason to make new ones. */
const FEW_CODES = 3;

type Render = (context: object) => string;
type Format = (typeof FORMATS)[number];

/** What whoever runs this service says in his own words. */
export interface Wording {
  brand: string;
  /** With `{code}` and `{minutes}`; for messages that carry a code. Null: our words. */
  subjectOverride: string | null;
  bodyOverride: string | null;
}

const OUR_WORDING: Wording = { brand: 'Countersign', subjectOverride: null, bodyOverride: null };

/** Every template, compiled: one that is missing or cannot be read stops the boot instead of a mail. */
export class Templates {
  private readonly compiled = new Map<string, Render>();

  constructor(
    private readonly wording: Wording = OUR_WORDING,
    folder: string = join(import.meta.dirname, 'templates'),
  ) {
    for (const locale of LOCALES) {
      for (const name of ['layout', ...Object.keys(kinds)]) {
        for (const format of FORMATS) {
          const file = fileOf(locale, name, format);
          if (locale !== DEFAULT_LOCALE && !existsSync(join(folder, file))) continue;
          this.compiled.set(file, compile(folder, file, format));
        }
      }
    }
  }

  render(message: Message, locale: Locale = DEFAULT_LOCALE): Pick<Mail, 'subject' | 'text' | 'html'> {
    const values = withoutTricks(message);
    const subject = oneLine(this.subjectOf(values, locale));
    const page = (format: Format) => {
      const body = this.bodyOf(values, locale, format).trim();
      return this.template(locale, 'layout', format)({ subject, body, brand: oneLine(this.wording.brand) });
    };
    return { subject, text: page('text'), html: page('html') };
  }

  private subjectOf(message: Message, locale: Locale): string {
    const { brand, subjectOverride } = this.wording;
    if (subjectOverride !== null && isCodeMessage(message)) return fillIn(subjectOverride, message);
    const own: PartialTexts['subjects'] = texts[locale].subjects;
    const subject = own[message.kind] ?? english.subjects[message.kind];
    return (subject as (message: Message, brand: string) => string)(message, oneLine(brand));
  }

  private bodyOf(message: Message, locale: Locale, format: Format): string {
    const { bodyOverride } = this.wording;
    if (bodyOverride !== null && isCodeMessage(message)) {
      const body = fillIn(bodyOverride, message);
      return format === 'text' ? body : paragraphsOf(body);
    }
    return this.template(locale, message.kind, format)(contextOf(message, locale));
  }

  private template(locale: Locale, name: string, format: Format): Render {
    const render =
      this.compiled.get(fileOf(locale, name, format)) ?? this.compiled.get(fileOf(DEFAULT_LOCALE, name, format));
    if (!render) throw new Error(`No template ${fileOf(DEFAULT_LOCALE, name, format)}`);
    return render;
  }
}

function fileOf(locale: Locale, name: string, format: Format): string {
  return `${locale}/${name}.${format}.hbs`;
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

/** What the templates see: the message, with the names of things in the reader's language. */
function contextOf(message: Message, locale: Locale): object {
  const nameOf = (type: string) => texts[locale].deviceTypes[type] ?? english.deviceTypes[type] ?? type;
  switch (message.kind) {
    case 'sign-in-code':
    case 'device-code':
    case 'first-factor-code':
    case 'magic-link':
    case 'password-reset':
      return { ...message, oneMinute: message.minutes === 1 };
    case 'device-added':
    case 'device-removed':
    case 'device-disabled':
    case 'address-changed':
      return { ...message, deviceType: nameOf(message.deviceType) };
    case 'factor-changed':
      return { ...message, method: message.method && nameOf(message.method), off: message.method === 'none' };
    case 'recovery-code-used':
      return { ...message, few: message.codesLeft <= FEW_CODES };
    default:
      return message;
  }
}

function isCodeMessage(message: Message): message is CodeMessage {
  return 'code' in message;
}

/** Once and from left to right: what is filled in is not looked at again. */
function fillIn(override: string, message: CodeMessage): string {
  return override.replace(/\{(code|minutes)\}/g, (_, name: 'code' | 'minutes') => String(message[name]));
}

/** Plain text as a page shows it: empty lines part paragraphs, other line breaks stay. */
function paragraphsOf(text: string): string {
  return text
    .trim()
    .split(/(?:\r?\n[ \t]*){2,}/)
    .map((paragraph) => Handlebars.escapeExpression(paragraph).replace(/\r?\n/g, '<br />'))
    .map((paragraph) => `<p style="margin: 0 0 16px">${paragraph}</p>`)
    .join('\n');
}

/** What others chose, and so may be meant for the reader's eyes: mail readers make links of what looks like one. */
const OTHERS_WORDS: ReadonlySet<string> = new Set(['deviceName', 'browser', 'inviter', 'message']);

/** A name with line breaks could write sentences of its own into a mail of ours, one with a link could lead away. */
function withoutTricks<M extends Message>(message: M): M {
  const entries = Object.entries<unknown>(message).map(([key, value]) => {
    if (typeof value !== 'string') return [key, value];
    return [key, OTHERS_WORDS.has(key) ? withoutLinks(oneLine(value)) : oneLine(value)];
  });
  return Object.fromEntries(entries) as M;
}

/** Readable still, but nothing to tap on: `https://evil.example` → `https: //evil. example`. */
function withoutLinks(text: string): string {
  // Browsers take the dots of other scripts for a full stop too.
  return text.replace(/:(?=\/)/g, ': ').replace(/([.\u3002\uFF0E\uFF61])(?=\p{L})/gu, '$1 ');
}

/** Also drops what reverses or hides text (bidirectional controls, zero width characters). */
function oneLine(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/\p{Cf}/gu, '')
    .trim();
}
