import { createLocalJWKSet, errors, type FlattenedJWSInput, type JSONWebKeySet, type JWSHeaderParameters } from 'jose';

/** Seconds for which the keys are kept: what their answer allows. A new key is published six minutes before it signs. */
const MAX_AGE = 300;
/** Seconds for which they are kept on while nobody answers. Longer, a key that was withdrawn would be good for ever. */
const MAX_AGE_UNANSWERED = 3_600;
/** Seconds between two requests. Tokens with invented key ids would else be a way to make us send many. */
const COOLDOWN = 10;
/** The same while there are no keys at all, so that a service that starts first does not wait long. */
const COOLDOWN_WITHOUT_KEYS = 1;

/** There are no keys to verify with: a matter of the network and not of the token. */
export class NoKeys extends Error {
  override readonly name = 'NoKeys';
}

export interface KeySource {
  url: URL;
  /** Milliseconds to wait for an answer. */
  timeout: number;
  /** Seconds since 1970. */
  now: () => number;
}

type LocalKeys = ReturnType<typeof createLocalJWKSet>;

/** The public keys of the issuer, from the one address that the operator gave; never from one that a token names. */
export class KeySet {
  private keys: LocalKeys | null = null;
  private readAt = -Infinity;
  private askedAt = -Infinity;
  private reading: Promise<void> | null = null;

  constructor(private readonly source: KeySource) {}

  /** @throws NoKeys, or the error of jose where no key fits the header */
  async find(header: JWSHeaderParameters, token: FlattenedJWSInput): ReturnType<LocalKeys> {
    if (this.age() >= MAX_AGE) await this.read();
    const keys = this.present();
    try {
      return await keys(header, token);
    } catch (cause) {
      if (!(cause instanceof errors.JWKSNoMatchingKey)) throw cause;
      await this.read();
      if (this.present() === keys) throw cause;
      return this.present()(header, token);
    }
  }

  private present(): LocalKeys {
    if (!this.keys || this.age() >= MAX_AGE_UNANSWERED) throw new NoKeys(`No keys from ${this.source.url.href}`);
    return this.keys;
  }

  private age(): number {
    return this.source.now() - this.readAt;
  }

  /** One request for all who wait, and none during the cooldown. A failure leaves what is there. */
  private async read(): Promise<void> {
    if (!this.reading) {
      const cooldown = this.keys ? COOLDOWN : COOLDOWN_WITHOUT_KEYS;
      if (this.source.now() - this.askedAt < cooldown) return;
      this.askedAt = this.source.now();
      this.reading = this.request().finally(() => (this.reading = null));
    }
    await this.reading;
  }

  private async request(): Promise<void> {
    const { url, timeout } = this.source;
    try {
      // A redirect would let whoever answers choose the address.
      const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeout) });
      if (response.status !== 200) return;
      this.keys = createLocalJWKSet((await response.json()) as JSONWebKeySet);
      this.readAt = this.source.now();
    } catch {
      // nobody, too late, or no JWK Set: the next one who needs a key tries again
    }
  }
}
