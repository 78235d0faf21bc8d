import { Injectable } from '@nestjs/common';
import { Config } from '../config/config.js';
import { isHttpsOrLocal } from '../config/https-or-local.js';
import { ProviderAwayError } from './provider.js';

/** Milliseconds for a whole request, from the connection to the last byte of the answer. */
const REQUEST_TIMEOUT = 5_000;
/** Bytes. The largest key sets have some ten thousand. */
const ANSWER_LIMIT = 256 * 1024;

/** The way to providers: given up in time, of limited size, never redirected. Logs no URL: some hold a token. */
@Injectable()
export class ProviderHttp {
  constructor(private readonly config: Config) {}

  /**
   * `fetch` for the libraries and for ourselves. What comes back is an answer in JSON, below 500.
   * @throws ProviderAwayError
   */
  readonly fetch = async (url: string, options: RequestInit): Promise<Response> => {
    const { host } = new URL(url);
    // The URL may come from the provider's own metadata.
    if (this.config.server.production && !isHttpsOrLocal(url))
      throw new ProviderAwayError(`${host} is not asked without https`);
    try {
      // A redirect is no answer: it could lead into our own network, with our client secret.
      const signal = AbortSignal.timeout(REQUEST_TIMEOUT);
      const response = await fetch(url, { ...options, redirect: 'manual', signal });
      const { status } = response;
      const text = await textOf(response);
      if (status >= 500 || status === 429 || (status >= 300 && status < 400)) throw new Error(`HTTP ${status}`);
      JSON.parse(text);
      return new Response(text, { status, headers: { 'content-type': response.headers.get('content-type') ?? '' } });
    } catch (error) {
      throw new ProviderAwayError(`${host} did not answer as it should: ${reasonOf(error as Error)}`);
    }
  };
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > ANSWER_LIMIT) throw new Error(`more than ${ANSWER_LIMIT} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Our own words and codes of the network: other messages may repeat what the provider sent. */
function reasonOf(error: Error): string {
  if (error.name === 'TimeoutError') return `nothing within ${REQUEST_TIMEOUT / 1000} s`;
  if (error instanceof SyntaxError) return 'no JSON';
  const { code } = (error.cause ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : error instanceof TypeError ? 'not reached' : error.message;
}
