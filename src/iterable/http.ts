import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { secretRemover } from '../plain-text.ts';
import type { ProxySettings } from '../settings/types.ts';
import { type Verdict, cleanMessage, readResponse } from './read-response.ts';

/** An answer larger than this is not Iterable's; it is cut off and tried again. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;

export type Endpoint =
  '/api/users/update' | '/api/events/track' | '/api/users/bulkUpdate' | '/api/events/trackBulk';

export interface IterableHttpOptions {
  apiKey: string;
  baseUrl: string;
  /** Limit of one call from its start to the last byte of the answer. */
  timeoutMs: number;
  connectionsMax: number;
  proxy?: ProxySettings | null;
}

/** Never through a proxy: it would look for them on its own machine. */
const LOOPBACK = 'localhost,127.0.0.1,::1';

function openAgent({ connectionsMax, timeoutMs, proxy }: IterableHttpOptions): Dispatcher {
  const options = {
    connections: connectionsMax,
    pipelining: 1,
    connect: { timeout: timeoutMs },
    keepAliveTimeout: 30_000,
  };
  if (proxy === null || proxy === undefined) return new Agent(options);
  const { url, except } = proxy;
  const noProxy = except.trim() === '*' ? '*' : `${except},${LOOPBACK}`;
  // Whichever is not meant is not asked: which one is, was decided by the base URL.
  return new EnvHttpProxyAgent({ ...options, httpProxy: url, httpsProxy: url, noProxy });
}

/**
 * Iterable's HTTP API over keep-alive connections: one call, one verdict. It retries nothing and
 * limits nothing; see IterableCalls for that.
 */
export class IterableHttp implements AsyncDisposable {
  readonly #agent: Dispatcher;
  readonly #options: IterableHttpOptions;
  readonly #headers: Record<string, string>;
  readonly #base: URL;
  /** Whatever answers may send the key back. */
  readonly #withoutKey: (text: string) => string;

  constructor(options: IterableHttpOptions) {
    this.#options = options;
    this.#base = new URL(options.baseUrl);
    this.#withoutKey = secretRemover([options.apiKey]);
    this.#headers = { 'Api-Key': options.apiKey, 'Content-Type': 'application/json' };
    this.#agent = openAgent(options);
  }

  /** Posts `body` (JSON). Never rejects for what the network or the server does. */
  async post(endpoint: Endpoint, body: string): Promise<Verdict> {
    return this.#call('POST', endpoint, body);
  }

  /** A read that needs the key and changes nothing (GET /api/channels), to see that both work. */
  async checkKey(): Promise<Verdict> {
    const verdict = await this.#call('GET', '/api/channels', null);
    if (verdict.kind !== 'refused' || verdict.status >= 300) return verdict;
    return { kind: 'ok', status: verdict.status, body: verdict.body };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #call(method: 'GET' | 'POST', path: string, body: string | null): Promise<Verdict> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs);
    try {
      const response = await this.#agent.request({
        origin: this.#base.origin,
        path: this.#base.pathname.replace(/\/$/, '') + path,
        method,
        headers: this.#headers,
        body,
        signal,
        // The one timer is `signal`: undici's own two would only limit parts of the call.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      const text = this.#withoutKey(await readBounded(response.body));
      const retryAfter = response.headers['retry-after'];
      const header = typeof retryAfter === 'string' ? retryAfter : null;
      return readResponse(response.statusCode, header, text, Date.now());
    } catch (error) {
      return { kind: 'retry', status: null, message: this.#reason(error), retryAfterMs: null };
    }
  }

  #reason(error: unknown): string {
    const { name, code, message } = error as NodeJS.ErrnoException;
    if (name === 'TimeoutError') return `no answer within ${this.#options.timeoutMs} ms`;
    return cleanMessage(this.#withoutKey(code === undefined ? message : `${code} ${message}`));
  }
}

async function readBounded(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is over ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
