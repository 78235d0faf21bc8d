import { expect, it } from 'vitest';
import { maskEmail, maskPhone } from './mask.js';

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

it.each([
  ['+4915112345636', '+••••••36'],
  ['+12015550123', '+••••••23'],
  ['+80012345678', '+••••••78'],
  ['4915112345636', '•••'],
  ['+49 151', '•••'],
  ['+49', '•••'],
  ['', '•••'],
])('%s becomes %s', (number, masked) => {
  expect(maskPhone(number)).toBe(masked);
});
