interface Ending {
  endsAt: number;
}

/**
 * What is kept for each address until it ends, by `performance.now()`; past the capacity the oldest goes, ended or not. To put
 * costs the same however many there are.
 */
export class EndingEntries<Entry extends Ending> {
  private readonly entries = new Map<string, Entry>();
  /**
   * A Map keeps the order of insertion, so what was put longest ago comes first. Kept from one `put` to the next: a Map keeps
   * the places of what was removed for a while, and whoever begins at its head walks over all of them.
   */
  private walk = this.entries.entries();
  private oldest: readonly [key: string, entry: Entry] | null = null;

  constructor(private readonly capacity: number) {}

  get size(): number {
    return this.entries.size;
  }

  /** Null where there is none, or where it has ended. */
  get(key: string): Entry | null {
    const entry = this.entries.get(key);
    return entry && entry.endsAt > performance.now() ? entry : null;
  }

  put(key: string, entry: Entry): void {
    this.entries.delete(key);
    this.makeRoom();
    this.entries.set(key, entry);
  }

  private makeRoom(): void {
    const now = performance.now();
    while ((this.oldest ??= this.next())) {
      const [key, entry] = this.oldest;
      // Another entry under its key is younger, and comes later.
      if (this.entries.get(key) === entry) {
        if (entry.endsAt > now && this.entries.size < this.capacity) return;
        this.entries.delete(key);
      }
      this.oldest = null;
    }
  }

  private next(): readonly [string, Entry] | null {
    const { value, done } = this.walk.next();
    if (!done) return value;
    // All are gone that there were, and a walk that has come to its end sees nothing that is put later.
    this.walk = this.entries.entries();
    return null;
  }
}
