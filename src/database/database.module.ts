import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { DataSourceOptions } from 'typeorm';
import { Config } from '../config/config.js';
import { dataSourceOptions } from './data-source.js';
import { PreparedStatements } from './prepared-statements.js';
import { ReadReplicas } from './read-replicas.js';
import { Reencryption } from './reencryption.js';
import { RepeatingDataSource } from './repeat-deadlocked.js';
import { TimeLimits } from './time-limits.js';

@Global()
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [Config],
      useFactory: ({ storage }: Config) => ({
        ...dataSourceOptions(storage.databaseUrl, storage.poolSize),
        autoLoadEntities: true,
        retryAttempts: 3,
        retryDelay: 1_000,
      }),
      dataSourceFactory: (options) => Promise.resolve(new RepeatingDataSource(options as DataSourceOptions)),
    }),
  ],
  providers: [PreparedStatements, ReadReplicas, Reencryption, TimeLimits],
  exports: [ReadReplicas],
})
export class DatabaseModule {}
