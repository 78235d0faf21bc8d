import { expect, it } from 'vitest';
import { maskEmail } from './mask.js';

it.each([
  ['alice@example.com', 'a•••@example.com'],
  ['a@example.com', 'a•••@example.com'],
  ['a-very-long-name@example.com', 'a•••@example.com'],
  ['"odd@local"@example.com', '"•••@example.com'],
  ['😀smile@example.com', '😀•••@example.com'],
  ['@example.com', '•••'],
  ['no address', '•••'],
  ['', '•••'],
])('%s becomes %s', (address, masked) => {
  expect(maskEmail(address)).toBe(masked);
});
