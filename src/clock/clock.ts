import { Injectable } from '@nestjs/common';

/**
 * The time of this process, for what lives only in it: claims of tokens and log lines. Whatever is stored
 * expires by the database's clock (`now()` in SQL), so that replicas whose clocks differ agree.
 */
export abstract class Clock {
  abstract now(): Date;

  /** Whole seconds since 1970, as JSON Web Tokens count (RFC 7519 §2, NumericDate). */
  seconds(): number {
    return Math.floor(this.now().getTime() / 1000);
  }
}

@Injectable()
export class SystemClock extends Clock {
  now(): Date {
    return new Date();
  }
}
