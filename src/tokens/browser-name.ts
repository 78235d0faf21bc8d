import Bowser from 'bowser';

/** `curl/8.14.1` → `curl 8` */
function programName(userAgent: string): string | null {
  const [, name, major] = /^([\w.-]{1,40})\/(\d{1,4})/.exec(userAgent) ?? [];
  return name === undefined ? null : `${name} ${major}`;
}

/** What a person would call the client with this User-Agent header: `Firefox 145 on Linux`; null where it tells nothing. */
export function browserName(userAgent: string | null): string | null {
  if (userAgent === null || userAgent.trim() === '') return null;
  const { browser, os } = Bowser.parse(userAgent);
  const [major] = browser.version?.split('.') ?? [];
  if (browser.name === undefined || browser.name === '') return programName(userAgent);
  const name = major ? `${browser.name} ${major}` : browser.name;
  return os.name ? `${name} on ${os.name}` : name;
}
