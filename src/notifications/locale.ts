/** One entry a locale: its folder below `templates/` has the same name, and its line in templates.ts. */
export const LOCALES = ['en', 'de'] as const;

export type Locale = (typeof LOCALES)[number];

/** The one that has every text; another one may lack some, and borrows them here. */
export const DEFAULT_LOCALE = 'en' satisfies Locale;

/** Nobody reads more languages than that; the header is a stranger's text. */
const MAX_LENGTH = 200;

/**
 * The locale for a language tag (BCP 47: `de-AT`) or an Accept-Language header (`fr, de-AT;q=0.8, en;q=0.5`):
 * the first of its languages that is spoken here.
 */
export function matchLocale(acceptLanguageOrTag: string | null): Locale {
  const wanted = (acceptLanguageOrTag ?? '')
    .slice(0, MAX_LENGTH)
    .split(',')
    .map((range) => {
      const [tag = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
      const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
      return { language: tag.split(/[-_]/, 1)[0] ?? '', weight: weight === undefined ? 1 : Number(weight) };
    })
    .filter(({ weight }) => weight > 0)
    .sort((one, other) => other.weight - one.weight);
  for (const { language } of wanted) {
    const spoken = LOCALES.find((locale) => locale === language);
    if (spoken) return spoken;
  }
  return DEFAULT_LOCALE;
}
