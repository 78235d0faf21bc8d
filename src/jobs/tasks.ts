/** Every task of the queue and its payload. A payload is stored in clear text: seal what is secret or personal. */
export type Tasks = {
  'send-message': {
    messageId: string;
    sealed: string;
    expiresAt: string | null;
    locale?: string;
    /** What the audit log tells besides what became of it. */
    about?: { userId: string | null; kind: string; channel: 'email' | 'sms' };
    /** How often it was handed over completely without an answer that came back. */
    unanswered?: number;
  };
  /** Lets a provider make and send a code for a challenge. */
  'start-verification': { challengeId: string; sealedTo: string; expiresAt: string };
  /** Looks up who an identifier belongs to, and sends him what he asked for. */
  'send-proof': { id: string; sealed: string };
  /** Tells whoever has an identity that somebody tried to register with it. */
  'tell-owner': { id: string; sealed: string };
  /** Tells an owner that his identifier has to wait after wrong passwords. */
  'tell-of-pause': { id: string; sealed: string };
  /** Tells another service what is due, one event after the other. */
  'deliver-to-webhook': { webhookId: string };
  /** Removes what has expired from one table, from a key on. */
  'remove-expired-rows-of': { table: string; after: string | null };
} & Record<RepeatedTask, object>;

export type TaskName = keyof Tasks;

/** Tasks that the time of day starts. The worker adds to their payload when they were due. */
export type RepeatedTask =
  | 'end-unmet-sessions'
  | 'remove-expired-rows'
  | 'remove-old-audit-events'
  | 'remove-old-registrations'
  | 'remove-old-sends'
  | 'remove-old-webhook-deliveries'
  | 'rotate-signing-key';
