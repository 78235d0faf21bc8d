/** The closed list of what is recorded, with what each event tells besides who, when and from where. */
export interface AuditEvents {
  'user.created': Record<string, never>;
  'user.registration-collided': Record<string, never>;
  /** An entry of the identity rules, or `honeypot`, refused what somebody gave. Nothing was stored or sent. */
  'identity.refused': { purpose: string; field: string; rule: string };
  /** A registration filled in what people do not see. */
  'honeypot.touched': Record<string, never>;
  /** An account that exists only once its address is proved. */
  'user.registration-started': { method: string };
  'user.updated': { fields: string[] };
  'user.address-changed': { field: 'email' | 'phoneNumber'; removed: boolean };
  'user.roles-changed': { before: readonly string[]; after: readonly string[] };
  'user.deactivated': Record<string, never>;
  'user.reactivated': Record<string, never>;
  'user.deleted': Record<string, never>;
  /** Pauses after failures were ended, and closed devices opened. */
  'user.unlocked': { devices: number };
  'user.recovery-link-requested': Record<string, never>;
  'user.password-changed': Record<string, never>;
  'user.password-refused': Record<string, never>;
  /** `linked`: through his verified address, at a sign-in; otherwise he connected it himself or was created by it. */
  'identity.connected': { provider: string; linked: boolean };
  'identity.disconnected': { provider: string };
  'sign-in.challenged': { method: string; codeSent: boolean };
  'sign-in.failed': {
    reason:
      | 'unknown_identifier'
      | 'wrong_password'
      | 'wrong_code'
      | 'inactive'
      | 'identity_not_proved'
      | 'two_factor_not_configured';
  };
  'sign-in.succeeded': { proved: readonly string[]; acr: string };
  'second-factor.failed': { method: string; reason: string; failures: number };
  'enrollment.started': { methods: readonly string[] };
  'device.created': { deviceId: string; method: string };
  'device.confirmed': { deviceId: string; method: string };
  /** After too many wrong codes in a row; it takes none any more, not even the right one. */
  'device.disabled': { deviceId: string; method: string };
  'device.removed': { deviceId: string; method: string };
  'two-factor.changed': { preferredMethod?: string | null; required?: boolean };
  /** A rule was put or taken away. `operationId` joins those that one operation wrote for many users. */
  'two-factor.rule-changed': {
    operationId?: string;
    level: 'global' | 'role' | 'user';
    role: string | null;
    required?: boolean;
    methods?: readonly string[] | null;
    deadline?: string | null;
    removed?: true;
  };
  'two-factor.rules-changed': {
    operationId: string;
    users: number;
    required: boolean;
    methods: readonly string[] | null;
    deadline: string | null;
  };
  'two-factor.reset': { devices: number; trustedBrowsers: number };
  'recovery-codes.created': Record<string, never>;
  'recovery-code.used': { left: number };
  'browser.trusted': Record<string, never>;
  'browser.forgotten': { count: number };
  'proof.requested': { purpose: string; sent: boolean };
  'user.password-reset': Record<string, never>;
  /** About the inviter: whom he invites has no account yet, or must not be told apart by having one. */
  'invitation.created': {
    invitationId: string;
    channel: 'email' | 'sms';
    roles: readonly string[];
    requireTwoFactor: boolean;
    methods: readonly string[] | null;
  };
  'invitation.resent': { invitationId: string };
  'invitation.revoked': { invitationId: string };
  /** About the one who accepted. */
  'invitation.accepted': { invitationId: string; inviterId: string | null; newAccount: boolean };
  'step-up.succeeded': { proved: string };
  /** What became of a message here, or what a provider that took it reports later. */
  'message.delivery':
    | { messageId: string; kind: string; channel: 'email' | 'sms'; state: DeliveryState; attempts: number }
    | { messageId: string | null; providerId: string; state: string; errorCode: number | null };
  /** Text messages to a country, because too few of the last hour's codes came back. */
  'message-guard.paused': { country: string; sent: number; answered: number };
  /** The last text message of today's budget went out. */
  'message-guard.budget-reached': { budget: number };
  /** An administrator ended the pause of a country, or (null) all pauses. */
  'message-guard.reset': { country: string | null };
  'session.revoked': { reason: string };
  'refresh-token.reused': Record<string, never>;
  'signing-key.created': { kid: string; algorithm: string; activatesAt: string };
  /** Before its time, because the key before it was retired. */
  'signing-key.activated': { kid: string };
  /** It verifies until `expiresAt`: this moment, where it was taken out in an emergency. */
  'signing-key.retired': { kid: string; expiresAt: string };
  /** Everything that was sealed by another key was sealed again by the first of ENCRYPTION_KEYS. */
  'encryption.changed': { resealed: number; unopenable: number };
  /** The host alone: the rest of an address may be as good as a password. */
  'webhook.created': { webhookId: string; host: string };
  'webhook.updated': { webhookId: string; fields: string[]; host: string };
  'webhook.removed': { webhookId: string };
  'webhook.secret-rotated': { webhookId: string };
  'webhook.disabled': { webhookId: string; reason: string };
  /** An administrator took a copy of events; what he asked for. */
  'audit.exported': { filter: Record<string, string> };
  /** Events that were older than AUDIT_RETENTION, up to a place in the chain. */
  'audit.removed': { events: number; upTo: number };
  /** An event was changed or had vanished before it got its place in the chain. */
  'audit.gap': { eventId: string; found: 'changed' | 'missing' };
}

/**
 * `sent`: a server took it · `refused`: for good, so it was not tried again · `expired`: it was not sent because its
 * code no longer works · `unanswered`: handed over twice without an answer · `failed`: given up.
 */
export type DeliveryState = 'sent' | 'refused' | 'expired' | 'unanswered' | 'failed';

type NamesOf<Details> = Details extends unknown ? Lowercase<Extract<keyof Details, string>> : never;
type SecretName =
  'code' | 'codes' | 'otp' | 'pin' | 'link' | 'hash' | `${string}${'password' | 'token' | 'secret'}${string}`;

/** Names of events without a key in their details that sounds like a secret. */
export type WithoutSecrets<Events> = {
  [Type in keyof Events]: [Extract<NamesOf<Events[Type]>, SecretName>] extends [never] ? Type : never;
}[keyof Events];

/** An event whose details sound like a secret has no type, so it cannot be recorded. */
export type AuditEventType = WithoutSecrets<AuditEvents>;
