import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Agent as HttpAgent, request as requestHttp, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { Webhook as Signer } from 'standardwebhooks';
import { Clock } from '../clock/clock.js';
import { Config } from '../config/config.js';
import { PrivateTargetError, publicLookup, targetFault } from './target.js';

export interface Message {
  url: string;
  /** The same at every attempt: how a receiver knows what it has seen. */
  id: string;
  body: string;
  /** Each of them signs: during a rotation the receiver may still know only the older one. */
  secrets: readonly string[];
}

/** What an attempt came to: the status of an answer, or why there is none. Neither holds anything of the answer's body. */
export type Outcome = { status: number; error: null } | { status: null; error: string };

/** A connection of its own for every message, past whatever proxy the environment names: a proxy would resolve the name itself. */
const AGENTS = { 'http:': new HttpAgent({ keepAlive: false }), 'https:': new HttpsAgent({ keepAlive: false }) };

/** Sends signed messages (Standard Webhooks). Logs no URL, secret, signature or body. */
@Injectable()
export class WebhookSender implements OnModuleInit {
  constructor(
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    if (!this.config.server.production || !this.config.webhooks.allowPrivateTargets) return;
    new Logger('Webhooks').warn(
      'WEBHOOK_ALLOW_PRIVATE_TARGETS is on: administrators can make this service send requests into its own network',
    );
  }

  /** Never throws: whatever goes wrong is an outcome. A redirect is one too, and is not followed: it could lead inside. */
  send({ url, id, body, secrets }: Message): Promise<Outcome> {
    const { allowPrivateTargets, timeoutSeconds } = this.config.webhooks;
    const target = new URL(url);
    // An address that was allowed when the webhook was made need not be allowed now, and no name of it is looked up.
    const fault = targetFault(target, allowPrivateTargets);
    if (fault !== null) return Promise.resolve({ status: null, error: `The URL ${fault}` });
    const secure = target.protocol === 'https:';
    const options: RequestOptions = {
      method: 'POST',
      agent: AGENTS[secure ? 'https:' : 'http:'],
      headers: this.headersOf(id, body, secrets),
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
      ...(allowPrivateTargets ? {} : { lookup: publicLookup }),
    };
    return new Promise((resolve) => {
      const request = secure ? requestHttps(target, options) : requestHttp(target, options);
      request.once('response', (response) => {
        resolve({ status: response.statusCode ?? 0, error: null });
        // Nothing of the body is read: one without an end costs nothing.
        response.destroy();
      });
      request.on('error', (error) => resolve({ status: null, error: reasonOf(error, timeoutSeconds) }));
      request.end(body);
    });
  }

  private headersOf(id: string, body: string, secrets: readonly string[]): Record<string, string | number> {
    const at = this.clock.now();
    return {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'Countersign-Webhooks',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': secrets.map((secret) => new Signer(secret).sign(id, at, body)).join(' '),
    };
  }
}

/** Words of ours and codes of Node: the text of an error may repeat what the other side sent. */
function reasonOf(error: Error & { code?: unknown; cause?: unknown }, timeoutSeconds: number): string {
  if (error instanceof PrivateTargetError) return 'The name of the host leads to a private address';
  if (error.name === 'AbortError') return `No answer within ${timeoutSeconds} s`;
  return `Not reached (${typeof error.code === 'string' ? error.code.slice(0, 64) : 'unknown'})`;
}
