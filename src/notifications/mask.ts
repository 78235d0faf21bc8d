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
