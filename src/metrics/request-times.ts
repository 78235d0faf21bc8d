import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { Meters } from './meters.js';

/** By the route's template. A stranger may ask for any path and with any method, and must not make a series by it. */
@Injectable()
export class RequestTimes implements OnModuleInit {
  constructor(
    private readonly host: HttpAdapterHost,
    private readonly meters: Meters,
  ) {}

  onModuleInit(): void {
    const server = this.host.httpAdapter.getInstance<FastifyInstance>();
    server.addHook('onResponse', ({ method, routeOptions }, reply, done) => {
      const route = routeOptions.url;
      const labels = route === undefined ? { method: 'any', route: 'unknown' } : { method, route };
      const status = `${Math.trunc(reply.statusCode / 100)}xx`;
      this.meters.requests.observe({ ...labels, status }, reply.elapsedTime / 1_000);
      done();
    });
  }
}
