import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Config } from '../config/config.js';
import { ConfigurationError } from '../config/env.js';
import { Scrape } from './scrape.js';

/** Prometheus reads here where METRICS_PORT says so. Nothing of the API is on this port, and nothing of it on that. */
@Injectable()
export class MetricsServer implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(MetricsServer.name);
  private readonly server = createServer((request, response) => void this.answer(request, response));

  constructor(
    private readonly config: Config,
    private readonly scrape: Scrape,
  ) {}

  /** Null until it listens. */
  get port(): number | null {
    return (this.server.address() as AddressInfo | null)?.port ?? null;
  }

  async onApplicationBootstrap(): Promise<void> {
    const { port, host } = this.config.metrics;
    if (port === null) return;
    this.server.listen(port, host);
    await once(this.server, 'listening').catch((cause: unknown) => {
      throw new ConfigurationError([`METRICS_PORT and METRICS_HOST: ${whyNot(cause)}`]);
    });
    this.logger.log(`Metrics at http://${host}:${this.port}/metrics`);
  }

  onApplicationShutdown(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (method !== 'GET' || url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    try {
      const text = await this.scrape.text();
      response.writeHead(200, { 'content-type': this.scrape.contentType }).end(text);
    } catch (error) {
      this.logger.error(`Metrics cannot be read: ${String(error)}`);
      response.writeHead(500).end();
    }
  }
}

/** In words of its own: what is said of a port is understood as said of PORT. */
function whyNot(cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return 'another process listens there; choose a free port, or 0';
  return `nothing can listen there (${code}); choose an address of this machine and a port of 1024 or more`;
}
