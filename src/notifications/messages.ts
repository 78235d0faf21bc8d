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
  /** Wrong passwords in a row, so that the next has to wait. */
  | { kind: 'wrong-passwords'; to: string }
  | { kind: 'device-added'; to: string; deviceType: string; deviceName: string }
  | { kind: 'device-removed'; to: string; deviceType: string; deviceName: string }
  /** It is closed after a hundred wrong codes in a row, until it is enrolled anew or an administrator unlocks it. */
  | { kind: 'device-disabled'; to: string; deviceType: string; deviceName: string }
  | { kind: 'password-changed'; to: string }
  /** The code that stands for a password. */
  | { kind: 'first-factor-code'; to: string; code: string; minutes: number }
  /** A link that stands for a password; `url` is one of our own, here and below. */
  | { kind: 'magic-link'; to: string; url: string; minutes: number }
  | { kind: 'password-reset'; to: string; url: string; minutes: number }
  | { kind: 'recovery-codes-created'; to: string }
  | { kind: 'recovery-code-used'; to: string; codesLeft: number }
  /** The settings were changed; `method` is asked first now, `none`: nothing is, null: as the policy says. */
  | { kind: 'factor-changed'; to: string; method: string | null }
  /** A refresh token came back after it had been exchanged, so the session was ended. */
  | { kind: 'refresh-token-reused'; to: string }
  /** This browser will not be asked for a second factor for a while. */
  | { kind: 'browser-trusted'; to: string; browser: string }
  /** To the address that was the user's until now, or about his number. `deviceType`: what kind of address it is. */
  | { kind: 'address-changed'; to: string; deviceType: string; removed: boolean }
  /** An administrator removed every second factor, so that the user can set it up again. */
  | { kind: 'two-factor-reset'; to: string }
  | { kind: 'account-deactivated'; to: string }
  /** The account can be entered by a sign-in at this provider, or no longer. */
  | { kind: 'identity-connected'; to: string; provider: string }
  | { kind: 'identity-disconnected'; to: string; provider: string }
  /** The farewell: by the user himself or by an administrator. */
  | { kind: 'account-deleted'; to: string }
  /** Somebody invites the reader; name and words are the inviter's, `until` is a time in words. */
  | { kind: 'invitation'; to: string; inviter: string; message: string; url: string; until: string }
  /** To the inviter; `address` is masked. */
  | { kind: 'invitation-accepted'; to: string; address: string };

export type MessageKind = Message['kind'];

/** A message to a user, which does not say yet where it goes: to the address that he has. */
export type Notice<M = Message> = M extends Message ? Omit<M, 'to'> : never;

/** The messages that carry a code, and so may be worded by whoever runs this service. */
export type CodeMessage = Extract<Message, { code: string }>;

/** What is told by text message: no more than must be, because everybody who sees the phone reads it. */
export type TextMessage = CodeText | InvitationText;

export interface CodeText {
  channel: 'sms';
  kind: CodeTextKind;
  /** In E.164 form. */
  to: string;
  code: string;
  minutes: number;
}

/** The only text with a link: one of our own, and nothing of the inviter's. */
export interface InvitationText {
  channel: 'sms';
  kind: 'invitation';
  to: string;
  url: string;
  /** A time in words. */
  until: string;
}

export type CodeTextKind =
  /** The code that completes a sign-in, or proves a factor again. */
  | 'sign-in-code'
  /** The code that proves that a new phone number can be read. */
  | 'device-code'
  /** The code that opens the choice of a new password. */
  | 'password-reset-code'
  /** The code that stands for a password. */
  | 'first-factor-code';

/** What a locale says by text message. Only our own values are in it: a name of a user's could hold a link. */
export type SmsTexts = { readonly [K in CodeTextKind]: (values: { code: string; minutes: number }) => string } & {
  readonly invitation: (values: { url: string; until: string }) => string;
};

/** What a locale brings besides its folder of templates and its text messages. */
export interface LocaleTexts {
  subjects: { readonly [K in MessageKind]: (message: Extract<Message, { kind: K }>, brand: string) => string };
  /** How the types of devices are called; a type that is not listed is called by its identifier. */
  deviceTypes: Readonly<Record<string, string>>;
}

/** A locale that is being translated: what it lacks is said in English. */
export interface PartialTexts {
  subjects: Partial<LocaleTexts['subjects']>;
  deviceTypes: LocaleTexts['deviceTypes'];
}
