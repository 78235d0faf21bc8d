export interface CircuitBreakerOptions {
  /** So many failures in a row open it. */
  failures: number;
  /** So many milliseconds nobody asks. */
  pause: number;
  /** Called when it opens after it was closed. */
  opened?: () => void;
  /** Milliseconds of a clock that never jumps. */
  now?: () => number;
}

/** Nobody was asked. */
export class CircuitOpenError extends Error {
  override readonly name = 'CircuitOpenError';
}

/**
 * After some failures in a row it refuses at once instead of waiting for another timeout. When the pause is over one
 * request goes through as a trial: its success closes the circuit, its failure opens it again.
 */
export class CircuitBreaker {
  private failures = 0;
  /** Null while it is closed. */
  private openUntil: number | null = null;
  private trying = false;
  private readonly now: () => number;

  constructor(private readonly options: CircuitBreakerOptions) {
    this.now = options.now ?? (() => performance.now());
  }

  /**
   * @param isFailure which errors say that the other side is in trouble; the others are answers
   * @throws CircuitOpenError
   */
  async run<T>(ask: () => Promise<T>, isFailure: (error: unknown) => boolean): Promise<T> {
    const trial = this.openUntil !== null;
    if (this.openUntil !== null && (this.trying || this.now() < this.openUntil)) throw new CircuitOpenError();
    this.trying = trial;
    try {
      const result = await ask();
      this.close();
      return result;
    } catch (error) {
      if (isFailure(error)) this.fail(trial);
      else this.close();
      throw error;
    } finally {
      if (trial) this.trying = false;
    }
  }

  private close(): void {
    this.failures = 0;
    this.openUntil = null;
  }

  private fail(trial: boolean): void {
    this.failures += 1;
    // requests that were under way when it opened say nothing new
    if (!trial && (this.openUntil !== null || this.failures < this.options.failures)) return;
    const wasClosed = this.openUntil === null;
    this.openUntil = this.now() + this.options.pause;
    if (wasClosed) this.options.opened?.();
  }
}
