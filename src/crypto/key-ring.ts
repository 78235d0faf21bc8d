import { createSecretKey } from 'node:crypto';
import type { RingKey } from './keys.js';

/** A setting of `id:key` pairs, whose form was checked; the first key makes what is new. */
export function readKeyRing(text: string | null): RingKey[] {
  if (text === null) return [];
  return text.split(',').map((pair) => {
    const [id = '', key = ''] = pair.trim().split(':');
    return { id, key: createSecretKey(key, 'base64') };
  });
}
