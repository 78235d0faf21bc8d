import type { PartialTexts } from '../../messages.js';

export const subjects: PartialTexts['subjects'] = {
  'sign-in-code': ({ code }) => `${code}: Ihr Bestätigungscode`,
  'device-code': ({ code }) => `${code}: Ihr Bestätigungscode`,
  'account-exists': () => 'Sie haben bereits ein Konto',
  'wrong-codes': () => 'Für Ihr Konto wurden falsche Codes eingegeben',
  'wrong-passwords': () => 'Für Ihr Konto wurden falsche Passwörter eingegeben',
  'device-added': () => 'Ihrem Konto wurde ein zweiter Faktor hinzugefügt',
  'device-removed': () => 'Aus Ihrem Konto wurde ein zweiter Faktor entfernt',
  'device-disabled': () => 'Ein zweiter Faktor Ihres Kontos wurde gesperrt',
  'password-changed': () => 'Ihr Passwort wurde geändert',
  'first-factor-code': ({ code }) => `${code}: Ihr Bestätigungscode`,
  'magic-link': (_, brand) => `Ihr Anmeldelink für ${brand}`,
  'password-reset': () => 'Neues Passwort wählen',
  'recovery-codes-created': () => 'Neue Wiederherstellungscodes wurden erstellt',
  'recovery-code-used': () => 'Ein Wiederherstellungscode wurde verwendet',
  'factor-changed': () => 'Die Einstellungen Ihres zweiten Faktors wurden geändert',
  'refresh-token-reused': () => 'Eine Ihrer Sitzungen wurde beendet',
  'browser-trusted': () => 'Ein Browser wurde als vertrauenswürdig markiert',
  'address-changed': () => 'Eine Adresse Ihres Kontos wurde geändert',
  'two-factor-reset': () => 'Ihr zweiter Faktor wurde zurückgesetzt',
  'identity-connected': () => 'Ihrem Konto wurde ein Anmeldeweg hinzugefügt',
  'identity-disconnected': () => 'Aus Ihrem Konto wurde ein Anmeldeweg entfernt',
  'account-deactivated': () => 'Ihr Konto wurde deaktiviert',
  'account-deleted': () => 'Ihr Konto wurde gelöscht',
  invitation: (_, brand) => `Sie sind zu ${brand} eingeladen`,
  'invitation-accepted': () => 'Ihre Einladung wurde angenommen',
};

export const deviceTypes: PartialTexts['deviceTypes'] = {
  email: 'E-Mail-Adresse',
  sms: 'Telefonnummer',
  totp: 'Authenticator-App',
  recovery_codes: 'Wiederherstellungscodes',
};
