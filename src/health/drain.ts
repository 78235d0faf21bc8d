import { Injectable, type BeforeApplicationShutdown, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Config } from '../config/config.js';

/** Milliseconds that requests get which are being answered when the server stops listening. */
const IN_FLIGHT_LIMIT = 25_000;
/** Milliseconds that a connection gets then which has not asked anything yet: its first request may be on the way. */
const FIRST_REQUEST_LIMIT = 2_000;

/**
 * The end of a replica, in the order that loses no request: it says that it is not ready, answers on and closes each
 * connection with its next answer; SHUTDOWN_DELAY later, when no gateway sends it anything, it stops listening.
 */
@Injectable()
export class Drain implements OnModuleInit, OnModuleDestroy, BeforeApplicationShutdown {
  private begun = false;
  /** Opened ahead of need, or to hold us up: Node takes them for busy and would wait for them. */
  private readonly unused = new Set<Socket>();

  constructor(
    private readonly config: Config,
    private readonly host: HttpAdapterHost,
  ) {}

  get draining(): boolean {
    return this.begun;
  }

  private get server(): Server {
    return this.host.httpAdapter.getHttpServer() as Server;
  }

  onModuleInit(): void {
    this.server.on('connection', (socket: Socket) => {
      this.unused.add(socket);
      socket.once('close', () => this.unused.delete(socket));
    });
    this.server.on('request', ({ socket }: IncomingMessage) => this.unused.delete(socket));
  }

  onModuleDestroy(): void {
    this.begun = true;
  }

  async beforeApplicationShutdown(): Promise<void> {
    await sleep(this.config.server.shutdownDelaySeconds * 1_000);
    setTimeout(() => this.unused.forEach((socket) => socket.destroy()), FIRST_REQUEST_LIMIT).unref();
    setTimeout(() => this.server.closeAllConnections(), IN_FLIGHT_LIMIT).unref();
  }
}
