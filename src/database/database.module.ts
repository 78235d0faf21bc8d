import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Config } from '../config/config.js';
import { dataSourceOptions } from './data-source.js';
import { ReadReplicas } from './read-replicas.js';
import { Reencryption } from './reencryption.js';

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
    }),
  ],
  providers: [ReadReplicas, Reencryption],
  exports: [ReadReplicas],
})
export class DatabaseModule {}
