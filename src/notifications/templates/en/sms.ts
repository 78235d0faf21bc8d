import type { SmsTexts } from '../../messages.js';

/** In the GSM alphabet, or one message becomes two or three. The code comes first: previews show little more. */
export const sms: SmsTexts = {
  'sign-in-code': ({ code, minutes }) =>
    `${code} is the verification code needed for the login. It works once, for ${minutes} min. Never give it to anybody.`,
  'device-code': ({ code, minutes }) => `${code} confirms this phone number. It works once, for ${minutes} min.`,
  'password-reset-code': ({ code, minutes }) =>
    `${code} is the code to choose a new password. It works once, for ${minutes} min. Not you? Ignore it.`,
  'first-factor-code': ({ code, minutes }) =>
    `${code} is your sign-in code. It works once, for ${minutes} min. Never give it to anybody.`,
  invitation: ({ url, until }) => `Invitation: ${url} Works once, until ${until}. Unexpected? Ignore.`,
};
