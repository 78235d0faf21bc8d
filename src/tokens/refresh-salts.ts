import { Injectable } from '@nestjs/common';

/** Sessions whose salt one replica remembers, at most: some 250 bytes each. */
const CAPACITY = 20_000;

/**
 * The salts of sessions that were begun or refreshed here. A salt never changes, so with it a refresh token is known to be
 * ours before the database is asked, and one statement exchanges it.
 */
@Injectable()
export class RefreshSalts {
  private readonly known = new Map<string, Buffer>();

  recall(sessionId: string): Buffer | null {
    return this.known.get(sessionId) ?? null;
  }

  remember(sessionId: string, salt: Buffer): void {
    this.known.set(sessionId, salt);
    if (this.known.size <= CAPACITY) return;
    // A Map keeps the order of insertion, so this is the one remembered longest ago.
    const [oldest] = this.known.keys();
    if (oldest !== undefined) this.known.delete(oldest);
  }
}
