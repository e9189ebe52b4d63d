import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

/** A whole answer; `text` as UTF-8. */
export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

export interface ExchangeLimits {
  /** From the dispatch to the last byte of the answer. */
  timeoutMs: number;
  /** Of the answer's body. */
  bytesMax: number;
}

/**
 * One request and its answer, taken as undici reads them: a stream for each answer, as
 * `Dispatcher.request` gives, costs more than all the rest of a call.
 *
 * `answer` rejects as undici does; with a TimeoutError (DOMException) after the time, and with an
 * Error when the answer is too large. The connection is given up then.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #settled = Promise.withResolvers<HttpAnswer>();
  readonly #limits: ExchangeLimits;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | null = null;
  #reason: Error | null = null;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(limits: ExchangeLimits) {
    this.#limits = limits;
    // Whoever awaits it sees the failure; where the dispatch itself has thrown, nobody does.
    this.#settled.promise.catch(() => undefined);
    this.#timer = setTimeout(
      () => this.#giveUp(new DOMException('no answer in time', 'TimeoutError')),
      limits.timeoutMs,
    );
  }

  get answer(): Promise<HttpAnswer> {
    return this.#settled.promise;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#reason !== null) controller.abort(this.#reason);
  }

  /** Also of each informational answer (1xx) before the real one. */
  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limits.bytesMax) {
      return this.#giveUp(new Error(`the answer is over ${this.#limits.bytesMax} bytes`));
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer);
    const [only] = this.#chunks;
    const body =
      only !== undefined && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks);
    const text = body.toString('utf8');
    this.#settled.resolve({ status: this.#status, headers: this.#headers, text });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#timer);
    this.#settled.reject(this.#reason ?? error);
  }

  #giveUp(reason: Error): void {
    clearTimeout(this.#timer);
    this.#reason = reason;
    this.#settled.reject(reason);
    this.#controller?.abort(reason);
  }
}
