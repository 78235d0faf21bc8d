import type { SmsTexts } from '../../messages.js';

/** In the GSM alphabet, which has the umlauts. */
export const sms: SmsTexts = {
  'sign-in-code': ({ code, minutes }) =>
    `${code} ist Ihr Code für die Anmeldung. Er gilt einmal, ${minutes} Min. lang. Geben Sie ihn niemandem.`,
  'device-code': ({ code, minutes }) =>
    `${code} bestätigt diese Telefonnummer. Der Code gilt einmal, ${minutes} Min. lang.`,
  'password-reset-code': ({ code, minutes }) =>
    `${code} ist der Code für ein neues Passwort. Er gilt einmal, ${minutes} Min. lang. Nicht Sie? Dann ignorieren.`,
  'first-factor-code': ({ code, minutes }) =>
    `${code} ist Ihr Anmeldecode. Er gilt einmal, ${minutes} Min. lang. Geben Sie ihn niemandem.`,
  invitation: ({ url, until }) => `Einladung: ${url} Gilt einmal, bis ${until}. Unerwartet? Ignorieren.`,
};
