import { type Failure, type IsWanted, type Outcome, StoppedError } from '../../deliver/sink.ts';
import type { Clock } from '../../model/clock.ts';
import { CALL_RETRIES, retryDelayMs } from '../../retry-schedule.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import { ANYBODY, type Caller } from './caller.ts';
import type { Endpoint, IterableHttp } from './http.ts';
import type { KeyQuestion } from './key-question.ts';
import type { RateLimiter, Start } from './rate-limiter.ts';
import type { Reply } from './read-response.ts';
import { type RetryReason, retryReason } from './retry-reason.ts';

/** A 429 is about all calls: the same one is sent again so often once the pause is over. */
const SLOW_DOWNS_MAX = 4;

export interface CallsOptions {
  http: Pick<IterableHttp, 'post'>;
  breaker: CircuitBreaker;
  key: Pick<KeyQuestion, 'ask'>;
  limiters: Readonly<Record<Endpoint, RateLimiter>>;
  clock: Clock;
  random: () => number;
  /** Told of every answer: `status` is the HTTP status, or `error` when there was none. */
  onAnswer: (endpoint: Endpoint, status: number | 'error') => void;
  /** Told of every call that has to be made again. */
  onRetry?: (endpoint: Endpoint, reason: RetryReason) => void;
}

/**
 * Calls behind the circuit breaker and within the rate limit. One that fails ends: whoever made it
 * comes again later, behind the first tries of others, and with what is to be sent by then.
 */
export class IterableCalls {
  readonly #options: CallsOptions;
  readonly #stop = new AbortController();
  #inFlight = 0;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** Requests that are out now. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Resolves with what Iterable decided, or that the try has failed. A 429 (about all calls) and a
   * refused key (nothing can be sent) are waited out. Rejects with StoppedError after `stop`, and
   * when `isWanted` is false at the moment the call would start.
   */
  async call(
    endpoint: Endpoint,
    payload: unknown,
    caller: Caller = ANYBODY,
    isWanted: IsWanted = always,
  ): Promise<Outcome | Failure> {
    const body = JSON.stringify(payload);
    for (let attempt = 1, slowDowns = 1; ; attempt++) {
      const { reply, ms } = await this.#once(endpoint, body, caller, () => isWanted(attempt));
      if (reply.kind === 'ok' || reply.kind === 'refused') return { ...reply, ms };
      if (reply.kind === 'unauthorised') continue;
      const { status, message, retryAfterMs } = reply;
      if (status !== 429 || slowDowns >= SLOW_DOWNS_MAX) {
        return { kind: 'failed', status, message, retryAfterMs, ms };
      }
      await this.backOff(slowDowns, retryAfterMs);
      slowDowns += 1;
    }
  }

  /** The pause after so many failed tries. Rejects with StoppedError after `stop`. */
  async backOff(tries: number, retryAfterMs: number | null): Promise<void> {
    const ms = retryDelayMs(CALL_RETRIES, tries, this.#options.random(), retryAfterMs);
    try {
      await this.#options.clock.sleep(ms, this.#stop.signal);
    } catch {
      throw new StoppedError();
    }
  }

  /** Gives up every call that waits; those whose request is out may end. */
  stop(): void {
    const reason = new StoppedError();
    this.#stop.abort(reason);
    this.#options.breaker.stop(reason);
    for (const limiter of Object.values(this.#options.limiters)) limiter.close(reason);
  }

  async #once(
    endpoint: Endpoint,
    body: string,
    caller: Caller,
    isWanted: () => boolean,
  ): Promise<{ reply: Reply; ms: number }> {
    const { breaker, limiters, http, clock, onAnswer, onRetry } = this.#options;
    const { probe, start } = await this.#admitted(limiters[endpoint], caller, isWanted);
    this.#inFlight += 1;
    const beganMs = clock.now();
    const answer = await http.post(endpoint, body);
    const ms = clock.now() - beganMs;
    this.#inFlight -= 1;
    if (answer.status !== null) limiters[endpoint].answered(start);
    onAnswer(endpoint, answer.status ?? 'error');
    if (answer.status === 429) limiters[endpoint].leaveMoreRoom();
    const reply = answer.kind === 'unauthorised' ? await this.#ofKeyOrRecord(answer) : answer;
    const reason = retryReason(reply);
    if (reason !== null) onRetry?.(endpoint, reason);
    if (breaker.report(reply, probe, caller)) void this.#askWhetherThere();
    return { reply, ms };
  }

  /**
   * Past the breaker and the limiter; again when the breaker has opened while the limiter was
   * waited for: then nothing is taken from the limit, and a probe waits behind nobody. Nor is for
   * what is not wanted any more. While the key is refused, the key is what is tried, not a call.
   */
  async #admitted(
    limiter: RateLimiter,
    caller: Caller,
    isWanted: () => boolean,
  ): Promise<{ probe: boolean; start: Start }> {
    const { breaker, key } = this.#options;
    for (;;) {
      const probe = await breaker.pass(caller);
      if (probe && breaker.trouble?.reason === 'key-refused' && (await key.ask()) !== 'accepted') {
        breaker.keyStillRefused();
        continue;
      }
      const mayPass = (): boolean => probe || !breaker.isOpen;
      try {
        const start = await limiter.take(() => mayPass() && isWanted(), caller.isRetry);
        if (start !== null && mayPass()) return { probe, start };
        if (start === null && (mayPass() || !isWanted())) throw new StoppedError();
      } catch (error) {
        breaker.abandon(probe);
        throw error;
      }
    }
  }

  /**
   * 401 and 403 may be of the key or, from a firewall or a rule of Iterable's, of this one record:
   * refused for good only when the key itself is accepted, and tried again where nobody can say.
   */
  async #ofKeyOrRecord(
    reply: Extract<Reply, { kind: 'unauthorised' }>,
  ): Promise<Extract<Reply, { kind: 'refused' | 'retry' | 'unauthorised' }>> {
    const { status, code, message } = reply;
    switch (await this.#options.key.ask()) {
      case 'refused':
        return reply;
      case 'accepted':
        return { kind: 'refused', status, code, message, body: null };
      case 'unanswered':
        return { kind: 'retry', status, message, retryAfterMs: null };
    }
  }

  async #askWhetherThere(): Promise<void> {
    this.#options.breaker.answered((await this.#options.key.ask()) !== 'unanswered');
  }
}

function always(): boolean {
  return true;
}
