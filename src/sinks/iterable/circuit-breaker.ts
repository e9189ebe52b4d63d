import type { SinkTrouble } from '../../deliver/sink.ts';
import type { Clock, Timer } from '../../model/clock.ts';
import { type RetrySchedule, retryDelayMs } from '../../retry-schedule.ts';
import { ANYBODY, type Caller } from './caller.ts';
import { FailureRun } from './failure-run.ts';
import type { Reply } from './read-response.ts';

/** How often a refused key is tried again: it may have been set right on Iterable's side. */
const KEY_RETRY_MS = 5_000;
/**
 * Calls that go through as probes at a time while Iterable is down: more each time, since the next
 * in turn may all be records that it can't take.
 */
const PROBES_FIRST = 4;
const PROBES_MAX = 64;

/** How long it stays open before a few calls ask whether Iterable is back. */
export const PROBES: RetrySchedule = { firstMs: 250, factor: 2, maxMs: 3_000 };

/** A 429 without Retry-After: the window that was too full is over soon. */
const SLOW_DOWNS: RetrySchedule = { firstMs: 60, factor: 2, maxMs: 3_000 };

export interface CircuitBreakerOptions {
  clock: Clock;
  random: () => number;
  /** Told when it opens, when it is open for another reason, and with null when it closes. */
  onChange: (trouble: SinkTrouble | null) => void;
}

interface Waiter {
  go: () => void;
  stop: (reason: Error) => void;
}

/**
 * A circuit breaker before all calls. While Iterable answers, it is closed, and calls pass. After
 * failures that say that Iterable is down (FailureRun), a 429 or a refused key it opens for a time, in
 * which no call passes; then a few go through as probes, first tries first, and a success closes it.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  readonly #first: Waiter[] = [];
  readonly #behind: Waiter[] = [];
  readonly #run = new FailureRun();
  #trouble: SinkTrouble | null = null;
  /** How often in a row it has opened. */
  #trips = 0;
  /** The last failure, in words. */
  #failure = '';
  #holdUps = 0;
  #probesAtMs = 0;
  #probesLeft = 0;
  #closedAtMs: number;
  #closedMs = 0;
  #timer: Timer | null = null;
  #stopped: Error | null = null;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
    this.#closedAtMs = options.clock.now();
  }

  /** How often it was open and has closed again: whoever came before has waited then. */
  get holdUps(): number {
    return this.#holdUps;
  }

  /** How long, in ms, it has been closed in all: a clock that stands still while Iterable is down. */
  get closedMs(): number {
    return this.#closedMs + (this.isOpen ? 0 : this.#options.clock.now() - this.#closedAtMs);
  }

  /** Why it is open; null while it is closed. */
  get trouble(): SinkTrouble | null {
    return this.#trouble;
  }

  /** How long, in ms, until a call goes through as a probe; 0 while closed. */
  get probesInMs(): number {
    return this.isOpen ? Math.max(0, this.#probesAtMs - this.#options.clock.now()) : 0;
  }

  get isOpen(): boolean {
    return this.#trouble !== null;
  }

  /** Resolves true for a probe, false for a call while it is closed; each must be `report`ed. */
  async pass({ isRetry }: Caller = ANYBODY): Promise<boolean> {
    for (;;) {
      if (this.#stopped !== null) throw this.#stopped;
      if (!this.isOpen) return false;
      const isTurn = this.#probesLeft > 0 && this.#options.clock.now() >= this.#probesAtMs;
      if (isTurn && !(isRetry && this.#first.length > 0)) {
        this.#probesLeft -= 1;
        return true;
      }
      await new Promise<void>((go, stop) => {
        (isRetry ? this.#behind : this.#first).push({ go, stop });
        this.#wakeLater();
      });
    }
  }

  /**
   * What came of a call that passed. Returns true where that leaves open whether Iterable is there:
   * it has to be asked, and `answered` told of it.
   */
  report(reply: Reply, probe: boolean, caller: Caller = ANYBODY): boolean {
    if (reply.kind === 'ok' || reply.kind === 'refused') {
      if (!this.isOpen || probe) this.#close();
      return false;
    }
    if (this.isOpen && !probe) return false;
    // Another probe of the same time has failed already.
    if (this.isOpen && this.#options.clock.now() < this.#probesAtMs) return false;
    const detail = detailOf(reply);
    if (reply.kind === 'unauthorised') {
      this.#open('key-refused', detail, KEY_RETRY_MS);
      return false;
    }
    this.#failure = detail;
    const sign = this.#run.failed(caller);
    const isAlone = caller.isRetry && !probe;
    if (reply.status === 429 && !isAlone) {
      this.#open('slow-down', detail, this.#delayMs(reply));
      return false;
    }
    if (sign === 'down' || probe) this.#open('down', detail, this.#delayMs(reply));
    return (sign === 'doubtful' && !this.isOpen) || (probe && caller.isRetry);
  }

  /** Whether Iterable is there, where `report` has asked for it. */
  answered(isThere: boolean): void {
    if (isThere) {
      this.#run.answered();
      if (this.#trouble?.reason === 'down') this.#close();
    } else if (!this.isOpen) {
      const delayMs = retryDelayMs(PROBES, 1, this.#options.random());
      this.#open('down', this.#failure, delayMs);
    }
  }

  /** A probe has asked about the key first, and it is not accepted yet: nothing was sent. */
  keyStillRefused(): void {
    if (this.#trouble?.reason !== 'key-refused') return;
    this.#open('key-refused', this.#trouble.detail, KEY_RETRY_MS);
  }

  /** A probe that was given up before it was sent; another one takes its place. */
  abandon(probe: boolean): void {
    if (!probe || !this.isOpen) return;
    this.#probesLeft += 1;
    this.#wakeLater();
  }

  /** Rejects everyone who waits, and whoever comes later. */
  stop(reason: Error): void {
    this.#stopped = reason;
    this.#timer?.cancel();
    for (const waiter of this.#takeWaiters(Number.POSITIVE_INFINITY)) waiter.stop(reason);
  }

  #close(): void {
    this.#run.succeeded();
    this.#trips = 0;
    if (!this.isOpen) return;
    this.#holdUps += 1;
    this.#closedAtMs = this.#options.clock.now();
    this.#set(null);
    for (const waiter of this.#takeWaiters(Number.POSITIVE_INFINITY)) waiter.go();
  }

  #delayMs(reply: Extract<Reply, { kind: 'retry' }>): number {
    const schedule = reply.status === 429 ? SLOW_DOWNS : PROBES;
    const attempt = this.#trips + 1;
    return retryDelayMs(schedule, attempt, this.#options.random(), reply.retryAfterMs);
  }

  #open(reason: SinkTrouble['reason'], detail: string, delayMs: number): void {
    const now = this.#options.clock.now();
    if (!this.isOpen) this.#closedMs += now - this.#closedAtMs;
    this.#probesAtMs = now + delayMs;
    this.#probesLeft =
      reason === 'down' ? Math.min(PROBES_FIRST * 2 ** this.#trips, PROBES_MAX) : 1;
    this.#trips += 1;
    this.#set({ reason, detail });
    this.#wakeLater();
  }

  #set(trouble: SinkTrouble | null): void {
    const changed = trouble?.reason !== this.#trouble?.reason;
    this.#trouble = trouble;
    if (changed) this.#options.onChange(trouble);
  }

  #takeWaiters(count: number): Waiter[] {
    const first = this.#first.splice(0, count);
    return [...first, ...this.#behind.splice(0, count - first.length)];
  }

  #wakeLater(): void {
    if (this.#timer !== null || this.#probesLeft === 0 || this.#stopped !== null) return;
    const delayMs = Math.max(1, Math.ceil(this.probesInMs));
    this.#timer = this.#options.clock.timer(delayMs, () => {
      this.#timer = null;
      if (this.probesInMs > 0) return this.#wakeLater();
      for (const waiter of this.#takeWaiters(this.#probesLeft)) waiter.go();
    });
  }
}

function detailOf(reply: Extract<Reply, { kind: 'retry' | 'unauthorised' }>): string {
  const status = reply.status === null ? '' : `HTTP ${reply.status} `;
  return `${status}${reply.message}`.trim();
}
