import type { Destination } from '../throttling/message-guard.js';
import { countryOf } from './phone.js';

/** An address as the guard of messages wants to know it. */
export function destinationOf(channel: 'email' | 'sms', address: string): Destination {
  return channel === 'email' ? { channel, to: address } : { channel, to: address, country: countryOf(address) };
}
