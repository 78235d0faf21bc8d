const MASK = '•••';

/**
 * `alice@example.com` → `a•••@example.com`: enough for its owner to recognise. The mask has a fixed length, because
 * the length of a name helps to guess it.
 */
export function maskEmail(address: string): string {
  const at = address.lastIndexOf('@');
  if (at < 1) return MASK;
  const [first = ''] = address;
  return `${first}${MASK}${address.slice(at)}`;
}

/**
 * `+4915112345636` → `+••••••36`. The country and the length of the number are hidden too: together with the last
 * digits they would leave few numbers to try.
 */
export function maskPhone(number: string): string {
  return /^\+[0-9]{6,15}$/.test(number) ? `+${MASK}${MASK}${number.slice(-2)}` : MASK;
}
