import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { PoolClient } from 'pg';
import type { DataSource } from 'typeorm';
import type { BoundedPool } from './bounded-pool.js';
import { isPooled } from './pooled.js';

/** Lets the service's connections prepare what they ask often, unless a pooler lends them out: plans stay behind there. */
@Injectable()
export class PreparedStatements implements OnApplicationBootstrap {
  constructor(@InjectDataSource() private readonly database: DataSource) {}

  async onApplicationBootstrap(): Promise<void> {
    const runner = this.database.createQueryRunner();
    try {
      if (await isPooled((await runner.connect()) as PoolClient)) return;
    } finally {
      await runner.release();
    }
    (this.database.driver as unknown as { master: BoundedPool }).master.statements.begin();
  }
}
