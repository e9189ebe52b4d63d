import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { type TroubleKind, connectionTrouble } from '../../connection-trouble.ts';
import { secretRemover } from '../../plain-text.ts';
import type { Clock } from '../../model/clock.ts';
import type { ProxySettings } from '../../settings/types.ts';
import { Exchange } from './exchange.ts';
import {
  type KeyReply,
  type Reply,
  cleanMessage,
  readChannels,
  readResponse,
} from './read-response.ts';

/** An answer larger than this is not Iterable's; it is cut off and tried again. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;

export type Endpoint =
  '/api/users/update' | '/api/events/track' | '/api/users/bulkUpdate' | '/api/events/trackBulk';

const BULK: ReadonlySet<Endpoint> = new Set(['/api/users/bulkUpdate', '/api/events/trackBulk']);

export interface IterableHttpOptions {
  apiKey: string;
  baseUrl: string;
  /** Limit of one call from its start to the last byte of the answer. */
  timeoutMs: number;
  connectionsMax: number;
  proxy?: ProxySettings | null;
  /** For a Retry-After that is a date; a call's time limit is on the machine's clock. */
  clock: Pick<Clock, 'epochMs'>;
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
 * Iterable's HTTP API over keep-alive connections: one call, one reply. It retries nothing and
 * limits nothing; see IterableCalls for that.
 */
export class IterableHttp implements AsyncDisposable {
  readonly #agent: Dispatcher;
  readonly #options: IterableHttpOptions;
  readonly #headers: Record<string, string>;
  readonly #base: URL;
  /** Before each endpoint's path. */
  readonly #pathBefore: string;
  /** Whatever answers may send the key back. */
  readonly #withoutKey: (text: string) => string;

  constructor(options: IterableHttpOptions) {
    this.#options = options;
    this.#base = new URL(options.baseUrl);
    this.#pathBefore = this.#base.pathname.replace(/\/$/, '');
    this.#withoutKey = secretRemover([options.apiKey]);
    this.#headers = { 'Api-Key': options.apiKey, 'Content-Type': 'application/json' };
    this.#agent = openAgent(options);
  }

  /** Posts `body` (JSON). Never rejects for what the network or the server does. */
  async post(endpoint: Endpoint, body: string): Promise<Reply> {
    const shape = BULK.has(endpoint) ? 'bulk' : 'single';
    return this.#call('POST', endpoint, body, (status, retryAfter, text, nowMs) =>
      readResponse(status, retryAfter, text, nowMs, shape),
    );
  }

  /**
   * A read that needs the key and changes nothing (GET /api/channels): `ok` when the documented
   * answer has come, `unauthorised` when the key is refused, else `retry`.
   */
  async checkKey(): Promise<KeyReply> {
    return this.#call('GET', '/api/channels', null, readChannels);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #call<V extends Reply>(
    method: 'GET' | 'POST',
    path: string,
    body: string | null,
    read: (status: number, retryAfter: string | null, text: string, nowMs: number) => V,
  ): Promise<V | Extract<Reply, { kind: 'retry' }>> {
    const exchange = new Exchange({
      timeoutMs: this.#options.timeoutMs,
      bytesMax: ANSWER_BYTES_MAX,
    });
    try {
      this.#agent.dispatch(
        {
          origin: this.#base.origin,
          path: this.#pathBefore + path,
          method,
          headers: this.#headers,
          body,
          // The one timer is the exchange's: undici's own two would only limit parts of the call.
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        exchange,
      );
      const { status, headers, text } = await exchange.answer;
      const retryAfter = headers['retry-after'];
      const header = typeof retryAfter === 'string' ? retryAfter : null;
      return read(status, header, this.#withoutKey(text), this.#options.clock.epochMs());
    } catch (error) {
      return { kind: 'retry', status: null, message: this.#reason(error), retryAfterMs: null };
    }
  }

  /** Why there was no answer, with the address and the setting that it comes from. */
  #reason(error: unknown): string {
    const { name, code, message } = error as NodeJS.ErrnoException;
    const where = this.#whereOf(error);
    if (name === 'TimeoutError')
      return `${where}: no answer within ${this.#options.timeoutMs} ms, ITERABLE_TIMEOUT_MS`;
    const trouble = connectionTrouble(error);
    if (trouble !== null)
      return cleanMessage(`${where}: ${trouble.why}${ADVICE[trouble.kind] ?? ''}`);
    return cleanMessage(this.#withoutKey(code === undefined ? message : `${code} ${message}`));
  }

  /** Whom the call did not reach: the proxy, where it is known by its port or name. */
  #whereOf(error: unknown): string {
    const { port, hostname } = error as { port?: unknown; hostname?: unknown };
    const { proxy } = this.#options;
    const through = proxy === null || proxy === undefined ? null : new URL(proxy.url);
    if (through !== null && (port === Number(portOf(through)) || hostname === through.hostname)) {
      const setting = this.#base.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
      return `the proxy ${through.hostname}:${portOf(through)} of ${setting}`;
    }
    return `${this.#base.hostname}:${portOf(this.#base)} of ITERABLE_API_BASE_URL`;
  }
}

const ADVICE: Readonly<Partial<Record<TroubleKind, string>>> = {
  certificate: '; set NODE_EXTRA_CA_CERTS to the file of the authority that signed it',
  'no TLS': '; see whether the address is to begin with http://',
};

const portOf = ({ port, protocol }: URL): string => port || (protocol === 'https:' ? '443' : '80');
