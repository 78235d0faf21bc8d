/**
 * Letters of other alphabets and digits, each above the Latin letter that it is taken for (after Unicode's list of
 * confusables, UTS #39 §4). The migration that filled the column has a copy.
 */
const LOOK = 'АВЕЅІЈКМНОРСТУХԚԜӀЬавеѕіјкмнорстухԁԛԝӏһьгпΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβγεηικνορστυχωՕՍՏԼօսհոցզյıɑɡɩI01';
const LIKE = 'ABESlJKMHOPCTYXQWlbabesijkmhopctyxdqwlhbrnABEZHlKMNOPTYXabyenikvopotuxwOUSLouhngqjiagilol';

const LETTERS: ReadonlyMap<string, string> = new Map(Array.from(LOOK, (letter, index) => [letter, LIKE.charAt(index)]));

/** The same text for two usernames that look alike: of `paypal`, `раураl`, `paypaI` and `paypa1` only one can exist. */
export function skeletonOf(username: string): string {
  return Array.from(username.normalize('NFKC').trim().normalize('NFD'), (letter) => LETTERS.get(letter) ?? letter)
    .join('')
    .toLowerCase()
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w');
}

/** Those in general use (UAX #31, table 5); others are not needed in names, and are rich in lookalikes. */
const SCRIPTS =
  'Latin Arabic Armenian Bengali Bopomofo Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew Hiragana Kannada Katakana Khmer Lao Malayalam Myanmar Oriya Sinhala Tamil Telugu Thaana Thai Tibetan';
/** What is written together in Japan, in Korea and in Taiwan. */
const TOGETHER = ['Latin Han Hiragana Katakana', 'Latin Han Hangul', 'Latin Han Bopomofo'];

const ALPHABETS = [...SCRIPTS.split(' '), ...TOGETHER].map((scripts) => {
  const letters = scripts.split(' ').map((script) => `\\p{scx=${script}}`);
  return new RegExp(`^[${letters.join('')}\\p{sc=Common}\\p{sc=Inherited}]*$`, 'u');
});

/** Whether all letters are of one alphabet ("highly restrictive", UTS #39 §5.2): `paypаl` with a Cyrillic а is not. */
export function isOfOneAlphabet(username: string): boolean {
  return ALPHABETS.some((alphabet) => alphabet.test(username));
}
