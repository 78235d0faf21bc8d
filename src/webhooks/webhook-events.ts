import type { SealedEvent } from '../audit/audit-feed.js';
import type { AuditEventType } from '../audit/audit-events.js';

/**
 * The closed list of what other services can be told: which audit event it comes from, and which of its details go
 * along. A detail that is not named here stays here. Another event is a line of this table.
 */
const PUBLISHED = {
  'user.created': { from: 'user.created', details: [] },
  'sign-in.succeeded': { from: 'sign-in.succeeded', details: ['proved', 'acr'] },
  'sign-in.failed': { from: 'sign-in.failed', details: ['reason'] },
  'second-factor.failed': { from: 'second-factor.failed', details: ['method', 'reason'] },
  'device.confirmed': { from: 'device.confirmed', details: ['deviceId', 'method'] },
  'device.removed': { from: 'device.removed', details: ['deviceId', 'method'] },
  'policy.changed': {
    from: 'two-factor.rule-changed',
    details: ['level', 'role', 'required', 'methods', 'deadline', 'removed'],
  },
  'invitation.accepted': { from: 'invitation.accepted', details: ['invitationId', 'inviterId', 'newAccount'] },
  'session.revoked': { from: 'session.revoked', details: ['reason'] },
} as const satisfies Record<string, { from: AuditEventType; details: readonly string[] }>;

export type WebhookEventType = keyof typeof PUBLISHED;

export const WEBHOOK_EVENT_TYPES = Object.keys(PUBLISHED) as WebhookEventType[];

/** What an administrator sends to see whether an address answers; it goes out whatever the webhook listens to. */
export const TEST_EVENT = 'webhook.test';

const BY_AUDIT_TYPE = new Map<string, WebhookEventType>(
  WEBHOOK_EVENT_TYPES.map((type) => [PUBLISHED[type].from, type]),
);

/** One thing that happened, as it is told. */
export interface WebhookEvent {
  /** The audit event's: the same at every attempt and for every webhook. */
  id: string;
  type: WebhookEventType | typeof TEST_EVENT;
  at: Date;
  data: Record<string, unknown>;
}

/** Null where nobody else is told. Ids and words of closed lists only: no address, no name, no IP address. */
export function toWebhookEvent({ id, type, at, userId, sessionId, actor, details }: SealedEvent): WebhookEvent | null {
  const publicType = BY_AUDIT_TYPE.get(type);
  if (publicType === undefined) return null;
  const told = PUBLISHED[publicType].details.map((name) => [name, details[name] ?? null] as const);
  return { id, type: publicType, at, data: { userId, sessionId, actor, ...Object.fromEntries(told) } };
}

/** The body of a message, in the shape of Standard Webhooks. */
export function bodyOf({ type, at, data }: WebhookEvent): string {
  return JSON.stringify({ type, timestamp: at.toISOString(), data });
}
