import { z } from 'zod';
import { flag, freeList, integer, text, textWithDefault } from '../values.js';

export const storage = {
  title: 'Storage',
  schema: z
    .object({
      DATABASE_URL: text({
        allowed: 'a postgres:// URL',
        secret: true,
        check: z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL'),
      }).describe('The PostgreSQL database (15 or newer). Absent: an embedded PostgreSQL keeps its data in DATA_DIR.'),
      DATABASE_DIRECT_URL: text({
        allowed: 'a postgres:// URL',
        secret: true,
        check: z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL'),
      }).describe(
        'The same database without the pooler that DATABASE_URL goes through: what needs a connection of its own uses it, which is migrations, the job queue and the channel between replicas. Absent: DATABASE_URL.',
      ),
      DATABASE_REPLICA_URLS: freeList({
        allowed: 'postgres:// URLs, comma-separated',
        secret: true,
        each: z.string().regex(/^postgres(ql)?:\/\//, 'must be postgres:// URLs'),
      }).describe(
        'Read replicas of the database. Only the lists of administrators are read from them, and from the database where none answers. Empty: none.',
      ),
      DATABASE_POOL_SIZE: integer({ default: 10, min: 2, max: 200 }).describe('Connections of one replica, at most.'),
      REDIS_URL: text({
        allowed: 'a redis:// or rediss:// URL',
        secret: true,
        check: z.string().regex(/^rediss?:\/\//, 'must be a redis:// or rediss:// URL'),
      }).describe(
        'A Redis that counts the requests of addresses for all replicas. Absent: the database counts them. Nothing else is kept there; while it is away each replica counts by itself.',
      ),
      DATA_DIR: textWithDefault({ default: '.countersign', allowed: 'a folder' }).describe(
        'Where the embedded database and the secrets generated at the first start are kept.',
      ),
      MIGRATE_ON_START: flag({ default: 'on' }).describe(
        'Whether a starting replica applies pending migrations (one does, the others wait).',
      ),
    })
    .transform((env) => ({
      databaseUrl: env.DATABASE_URL,
      directUrl: env.DATABASE_DIRECT_URL,
      replicaUrls: env.DATABASE_REPLICA_URLS,
      poolSize: env.DATABASE_POOL_SIZE,
      redisUrl: env.REDIS_URL,
      dataDir: env.DATA_DIR,
      migrateOnStart: env.MIGRATE_ON_START,
    })),
} as const;
