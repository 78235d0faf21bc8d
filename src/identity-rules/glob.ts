/** Longer than any address, number or name: such a text identifies nobody, and comparing it would only take time. */
const MAX_LENGTH = 254;

/**
 * Whether a text matches `*` (anything) and `?` (one character). Not a regular expression: it only ever goes back to the
 * last `*`, so no pattern of an operator and no text of a stranger takes more than text × pattern steps (ReDoS).
 */
export function globMatcher(pattern: string): (text: string) => boolean {
  const wanted = [...pattern];
  return (text) => text.length <= MAX_LENGTH && matches(wanted, [...text]);
}

function matches(wanted: readonly string[], characters: readonly string[]): boolean {
  let next = 0;
  let read = 0;
  let afterStar = -1;
  let readByStar = 0;
  while (read < characters.length) {
    if (wanted[next] === '*') {
      next += 1;
      afterStar = next;
      readByStar = read;
    } else if (wanted[next] === '?' || wanted[next] === characters[read]) {
      next += 1;
      read += 1;
    } else if (afterStar >= 0) {
      // The last `*` takes one character more, and what follows it is tried again.
      readByStar += 1;
      read = readByStar;
      next = afterStar;
    } else {
      return false;
    }
  }
  while (wanted[next] === '*') next += 1;
  return next === wanted.length;
}
