import { Injectable, type OnModuleInit } from '@nestjs/common';
import { AuditFeed, type SealedEvent } from '../audit/audit-feed.js';
import type { AuditEvents } from '../audit/audit-events.js';
import { Meters } from './meters.js';

/**
 * Counts what the audit log tells, so that no handler has to remember to: what was rolled back is not in it, and of all
 * replicas one gets each event. A database that goes away in the very moment of sealing lets a second of events be
 * counted twice.
 */
@Injectable()
export class AuditCounts implements OnModuleInit {
  constructor(
    private readonly feed: AuditFeed,
    private readonly meters: Meters,
  ) {}

  onModuleInit(): void {
    this.feed.subscribe((_tx, events) => {
      for (const event of events) this.count(event);
      return Promise.resolve();
    });
  }

  private count(event: SealedEvent): void {
    const step = signInStepOf(event);
    if (step) this.meters.signIns.inc(step);
    const message = messageOf(event);
    if (message) this.meters.messages.inc(message);
    if (event.type === 'message-guard.paused') this.meters.guardStops.inc({ reason: 'country' });
    if (event.type === 'message-guard.budget-reached') this.meters.guardStops.inc({ reason: 'budget' });
  }
}

function signInStepOf({ type, details }: SealedEvent): { factor: string; outcome: string } | null {
  switch (type) {
    case 'sign-in.succeeded':
      return { factor: (details as AuditEvents[typeof type]).proved.join('+'), outcome: 'succeeded' };
    case 'sign-in.challenged':
      return { factor: (details as AuditEvents[typeof type]).method, outcome: 'challenged' };
    case 'sign-in.failed':
      return { factor: 'first', outcome: (details as AuditEvents[typeof type]).reason };
    case 'second-factor.failed':
      return { factor: (details as AuditEvents[typeof type]).method, outcome: 'failed' };
    case 'step-up.succeeded':
      return { factor: (details as AuditEvents[typeof type]).proved, outcome: 'stepped_up' };
    default:
      return null;
  }
}

/** What a provider reports later is another count: it would make one message two. */
function messageOf({ type, details }: SealedEvent): { channel: string; outcome: string } | null {
  if (type !== 'message.delivery') return null;
  const delivery = details as AuditEvents[typeof type];
  return 'channel' in delivery ? { channel: delivery.channel, outcome: delivery.state } : null;
}
