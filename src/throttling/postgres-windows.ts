import type { EntityManager } from 'typeorm';
import { firstRow } from '../database/sql.js';
import { WindowStore, type Hits } from './window-store.js';

export class PostgresWindows extends WindowStore {
  constructor(private readonly db: EntityManager) {
    super();
  }

  async hit(key: Buffer, seconds: number): Promise<Hits> {
    const hits = await firstRow<Hits>(
      this.db,
      `INSERT INTO address_windows AS w (key, hits, ends_at) VALUES ($1, 1, now() + make_interval(secs => $2))
       ON CONFLICT (key) DO UPDATE SET
         hits = CASE WHEN w.ends_at <= now() THEN 1 ELSE w.hits + 1 END,
         ends_at = CASE WHEN w.ends_at <= now() THEN excluded.ends_at ELSE w.ends_at END
       RETURNING hits, greatest(1, ceil(extract(epoch FROM ends_at - now())))::int AS "secondsLeft"`,
      [key, seconds],
    );
    if (!hits) throw new Error('A hit was not counted');
    return hits;
  }
}
