export interface Hits {
  /** In the present window, the one that was just counted included. */
  hits: number;
  /** Whole seconds until the window ends, at least one. */
  secondsLeft: number;
}

/** Where all replicas count together. */
export abstract class WindowStore {
  /** Counts one; a key that has no window begins one of so many seconds. */
  abstract hit(key: Buffer, seconds: number): Promise<Hits>;
}
