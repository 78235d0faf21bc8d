import { Controller, Get, Headers, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { createHash, timingSafeEqual } from 'node:crypto';
import { Config } from '../config/config.js';
import { Problem } from '../problems/problem.js';
import { Public } from '../tokens/access.js';
import { Scrape } from './scrape.js';

/** For a Prometheus that reaches nothing but the public port. Not there without METRICS_TOKEN. */
@ApiExcludeController()
@Controller('metrics')
export class MetricsController {
  constructor(
    private readonly config: Config,
    private readonly scrape: Scrape,
  ) {}

  @Get()
  @Public()
  async read(@Headers('authorization') authorization: string | undefined, @Res() reply: FastifyReply): Promise<void> {
    if (!isSame(authorization ?? '', `Bearer ${this.config.metrics.token}`)) throw new Problem('invalid_token');
    const text = await this.scrape.text();
    await reply.type(this.scrape.contentType).send(text);
  }
}

/** Hashed first: the comparison takes equally long whatever was sent, also its length. */
function isSame(sent: string, expected: string): boolean {
  const [a, b] = [sent, expected].map((text) => createHash('sha256').update(text).digest()) as [Buffer, Buffer];
  return timingSafeEqual(a, b);
}
