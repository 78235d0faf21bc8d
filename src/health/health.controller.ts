import { Controller, Get } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SkipThrottle } from '@nestjs/throttler';
import { Problem } from '../problems/problem.js';
import { Public } from '../tokens/access.js';
import { Readiness } from './readiness.js';

/** For the platform that runs the service: whether to restart it (live) and whether to send it requests (ready). */
@ApiExcludeController()
@SkipThrottle({ overall: true })
@Controller('health')
export class HealthController {
  constructor(private readonly readiness: Readiness) {}

  /** Asks nobody: a restart does not bring back a database that is away. */
  @Get('live')
  @Public()
  live(): { status: 'live' } {
    return { status: 'live' };
  }

  @Get('ready')
  @Public()
  async ready(): Promise<{ status: 'ready' }> {
    const failing = await this.readiness.failing();
    if (failing.length === 0) return { status: 'ready' };
    throw new Problem('unavailable', { detail: `Not ready: ${failing.join(', ')}.`, retryAfter: 2 });
  }
}
