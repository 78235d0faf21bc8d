/** Everything that this service tells people. One kind is one pair of templates and one subject. */
export type Message =
  /** The code that completes a sign-in. */
  | { kind: 'sign-in-code'; to: string; code: string; minutes: number }
  /** The code that proves that a new e-mail device can be read. */
  | { kind: 'device-code'; to: string; code: string; minutes: number }
  /** Somebody tried to register with an address that has an account; the one who tried is not told. */
  | { kind: 'account-exists'; to: string }
  /** Wrong second-factor codes in a row, after a password that was right. */
  | { kind: 'wrong-codes'; to: string }
  | { kind: 'device-added'; to: string; deviceType: string; deviceName: string }
  | { kind: 'device-removed'; to: string; deviceType: string; deviceName: string }
  | { kind: 'password-changed'; to: string };

export type MessageKind = Message['kind'];

/** What a locale brings besides its folder of templates. */
export interface LocaleTexts {
  subjects: { [K in MessageKind]: (message: Extract<Message, { kind: K }>) => string };
  /** How the types of devices are called; a type that is not listed is called by its name. */
  deviceTypes: Readonly<Record<string, string>>;
}
