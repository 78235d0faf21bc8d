import { Controller, Get } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SkipThrottle } from '@nestjs/throttler';
import { InjectEntityManager } from '@nestjs/typeorm';
import type { EntityManager } from 'typeorm';
import { Problem } from '../problems/problem.js';
import { Public } from '../tokens/access.js';

/** For the platform that runs the service: whether to restart it (live) and whether to send it requests (ready). */
@ApiExcludeController()
@SkipThrottle({ overall: true, 'sign-in': true })
@Controller('health')
export class HealthController {
  constructor(@InjectEntityManager() private readonly db: EntityManager) {}

  @Get('live')
  @Public()
  live(): { status: 'live' } {
    return { status: 'live' };
  }

  @Get('ready')
  @Public()
  async ready(): Promise<{ status: 'ready' }> {
    try {
      await this.db.query('SELECT 1');
    } catch {
      throw new Problem('unavailable', { retryAfter: 2 });
    }
    return { status: 'ready' };
  }
}
