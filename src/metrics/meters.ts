import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';

/** Seconds. Hashing a password takes some tens of milliseconds, everything else less. */
const BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * What is counted in this process. A label has one of a few values that stand in the code: never an id, an address, an
 * identifier or a path, which would be personal data in a store without protection, and a series for each.
 */
@Injectable()
export class Meters {
  readonly registry = new Registry();

  readonly requests = new Histogram({
    name: 'countersign_http_request_duration_seconds',
    help: 'Answered requests by route; "unknown" is everything that is not there.',
    labelNames: ['method', 'route', 'status'],
    buckets: BUCKETS,
    registers: [this.registry],
  });

  readonly signIns = new Counter({
    name: 'countersign_sign_ins_total',
    help: 'Steps of sign-ins by factor. Counted where the audit log is sealed, so add the replicas up.',
    labelNames: ['factor', 'outcome'],
    registers: [this.registry],
  });

  readonly messages = new Counter({
    name: 'countersign_messages_total',
    help: 'Messages by what became of them here. Counted where the audit log is sealed, so add the replicas up.',
    labelNames: ['channel', 'outcome'],
    registers: [this.registry],
  });

  readonly guardStops = new Counter({
    name: 'countersign_message_guard_total',
    help: 'Pauses of text messages: a country whose codes do not come back, or a budget that is used up. Add the replicas up.',
    labelNames: ['reason'],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }
}
