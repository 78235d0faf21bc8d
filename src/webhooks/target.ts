import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

export const URL_MAX_LENGTH = 2000;

/** Thrown where a connection would leave the public internet. It says nothing about what is there. */
export class PrivateTargetError extends Error {
  override readonly name = 'PrivateTargetError';
}

/** All of IPv6 that is handed out to networks (RFC 4291 §2.4). What lies outside has a meaning of its own. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Whether an address belongs to a host of the public internet. Everything else may be ours: a database on 10.0.0.7, this
 * machine, the metadata service of a cloud on 169.254.169.254, or one of them written as IPv6 (mapped, NAT64, 6to4).
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_IPV6);
}

/**
 * Why nothing is sent to a URL, or null. A host's name is not looked up here: what it resolves to now says nothing about
 * what it resolves to later, so that is checked by {@link publicLookup}, when the connection is made.
 */
export function targetFault(url: URL, allowPrivate: boolean): string | null {
  if (url.href.length > URL_MAX_LENGTH) return `must not be longer than ${URL_MAX_LENGTH} characters`;
  if (url.username !== '' || url.password !== '') return 'must not contain a user name or password';
  if (url.hash !== '') return 'must not contain a fragment';
  if (url.protocol !== 'https:' && !(allowPrivate && url.protocol === 'http:')) return 'must be an https URL';
  // The parser has turned 0x7f.1, 2130706433 and 0177.0.0.1 into 127.0.0.1.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!allowPrivate && isIP(host) !== 0 && !isPublicAddress(host)) return 'must not be a private address';
  return null;
}

/**
 * Resolves a name for the very connection that is being made: what is checked is what is connected to, so a name that
 * answers differently the second time (DNS rebinding) wins nothing. One private address among public ones is enough to
 * refuse them all.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, []);
    const refused = addresses.length === 0 || !addresses.every(({ address }) => isPublicAddress(address));
    if (refused) return callback(new PrivateTargetError('The name leads to a private address'), []);
    if (options.all === true) return callback(null, addresses);
    const [{ address, family }] = addresses as [LookupAddress];
    callback(null, address, family);
  });
};
