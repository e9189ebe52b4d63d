import { ANYBODY, type Caller } from './caller.ts';
import { FailureRun } from './failure-run.ts';
import type { Verdict } from './read-response.ts';
import { PROBES, SLOW_DOWNS, retryDelayMs } from './retry-schedule.ts';

/** How often a refused key is tried again: it may have been set right on Iterable's side. */
const KEY_RETRY_MS = 5_000;
/**
 * Calls that go through as probes at a time while Iterable is down: more each time, since the next
 * in turn may all be records that it can't take.
 */
const PROBES_FIRST = 4;
const PROBES_MAX = 64;

export interface GateState {
  /** null: calls go through. */
  reason: 'down' | 'slow-down' | 'key-refused' | null;
  /** One line for people, e.g. `HTTP 503: …`. */
  detail: string;
  /** Monotonic ms since when no call has succeeded; null while open. */
  closedSinceMs: number | null;
}

export interface CallGateOptions {
  /** Monotonic, in milliseconds. */
  now: () => number;
  random: () => number;
  /** Told of every change of `reason`. */
  onChange: (state: GateState) => void;
}

interface Waiter {
  go: () => void;
  stop: (reason: Error) => void;
}

/**
 * One gate before all calls (a circuit breaker). While Iterable answers, it is open. After failures
 * that say that Iterable is down (FailureRun), a 429 or a refused key it closes for a time; then a
 * few calls go through as probes, first tries first, and a success opens the gate.
 */
export class CallGate {
  readonly #options: CallGateOptions;
  readonly #first: Waiter[] = [];
  readonly #behind: Waiter[] = [];
  readonly #run = new FailureRun();
  #state: GateState = { reason: null, detail: '', closedSinceMs: null };
  /** How often in a row it was closed. */
  #closings = 0;
  /** The last failure, in words. */
  #failure = '';
  #holdUps = 0;
  #opensAtMs = 0;
  #probesLeft = 0;
  #openedAtMs: number;
  #openedMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #closed: Error | null = null;

  constructor(options: CallGateOptions) {
    this.#options = options;
    this.#openedAtMs = options.now();
  }

  /** How often it was closed and is open again: whoever came before has waited then. */
  get holdUps(): number {
    return this.#holdUps;
  }

  /** How long, in ms, it has been open in all: a clock that stands still while Iterable is down. */
  get openMs(): number {
    return this.#openedMs + (this.isOpen ? this.#options.now() - this.#openedAtMs : 0);
  }

  get state(): GateState {
    return this.#state;
  }

  /** How long, in ms, until a call goes through as a probe; 0 while open. */
  get opensInMs(): number {
    return this.isOpen ? 0 : Math.max(0, this.#opensAtMs - this.#options.now());
  }

  get isOpen(): boolean {
    return this.#state.reason === null;
  }

  /** Resolves true for a probe, false for a call through the open gate; each must be `report`ed. */
  async pass({ isRetry }: Caller = ANYBODY): Promise<boolean> {
    for (;;) {
      if (this.#closed !== null) throw this.#closed;
      if (this.isOpen) return false;
      const isTurn = this.#probesLeft > 0 && this.#options.now() >= this.#opensAtMs;
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
  report(verdict: Verdict, probe: boolean, caller: Caller = ANYBODY): boolean {
    if (verdict.kind === 'ok' || verdict.kind === 'refused') {
      if (this.isOpen || probe) this.#open();
      return false;
    }
    if (!this.isOpen && !probe) return false;
    // Another probe of the same time has failed already.
    if (!this.isOpen && this.#options.now() < this.#opensAtMs) return false;
    const detail = detailOf(verdict);
    if (verdict.kind === 'unauthorised') {
      this.#close('key-refused', detail, KEY_RETRY_MS);
      return false;
    }
    this.#failure = detail;
    const sign = this.#run.failed(caller);
    const isAlone = caller.isRetry && !probe;
    if (verdict.status === 429 && !isAlone) {
      this.#close('slow-down', detail, this.#delayMs(verdict));
      return false;
    }
    if (sign === 'down' || probe) this.#close('down', detail, this.#delayMs(verdict));
    return (sign === 'doubtful' && this.isOpen) || (probe && caller.isRetry);
  }

  /** Whether Iterable is there, where `report` has asked for it. */
  answered(isThere: boolean): void {
    if (isThere) {
      this.#run.answered();
      if (this.#state.reason === 'down') this.#open();
    } else if (this.isOpen) {
      const delayMs = retryDelayMs(PROBES, 1, this.#options.random());
      this.#close('down', this.#failure, delayMs);
    }
  }

  /** A probe has asked about the key first, and it is not accepted yet: nothing was sent. */
  keyStillRefused(): void {
    if (this.#state.reason !== 'key-refused') return;
    this.#close('key-refused', this.#state.detail, KEY_RETRY_MS);
  }

  /** A probe that was given up before it was sent; another one takes its place. */
  abandon(probe: boolean): void {
    if (!probe || this.isOpen) return;
    this.#probesLeft += 1;
    this.#wakeLater();
  }

  /** Rejects everyone who waits, and whoever comes later. */
  close(reason: Error): void {
    this.#closed = reason;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const waiter of this.#takeWaiters(Number.POSITIVE_INFINITY)) waiter.stop(reason);
  }

  #open(): void {
    this.#run.succeeded();
    this.#closings = 0;
    if (this.isOpen) return;
    this.#holdUps += 1;
    this.#openedAtMs = this.#options.now();
    this.#set({ reason: null, detail: '', closedSinceMs: null });
    for (const waiter of this.#takeWaiters(Number.POSITIVE_INFINITY)) waiter.go();
  }

  #delayMs(verdict: Extract<Verdict, { kind: 'retry' }>): number {
    const schedule = verdict.status === 429 ? SLOW_DOWNS : PROBES;
    const attempt = this.#closings + 1;
    return retryDelayMs(schedule, attempt, this.#options.random(), verdict.retryAfterMs);
  }

  #close(reason: NonNullable<GateState['reason']>, detail: string, delayMs: number): void {
    const now = this.#options.now();
    if (this.isOpen) this.#openedMs += now - this.#openedAtMs;
    this.#opensAtMs = now + delayMs;
    this.#probesLeft =
      reason === 'down' ? Math.min(PROBES_FIRST * 2 ** this.#closings, PROBES_MAX) : 1;
    this.#closings += 1;
    this.#set({ reason, detail, closedSinceMs: this.#state.closedSinceMs ?? now });
    this.#wakeLater();
  }

  #set(state: GateState): void {
    const changed = state.reason !== this.#state.reason;
    this.#state = state;
    if (changed) this.#options.onChange(state);
  }

  #takeWaiters(count: number): Waiter[] {
    const first = this.#first.splice(0, count);
    return [...first, ...this.#behind.splice(0, count - first.length)];
  }

  #wakeLater(): void {
    if (this.#timer !== null || this.#probesLeft === 0 || this.#closed !== null) return;
    const delayMs = Math.max(1, Math.ceil(this.opensInMs));
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.opensInMs > 0) return this.#wakeLater();
      for (const waiter of this.#takeWaiters(this.#probesLeft)) waiter.go();
    }, delayMs);
  }
}

function detailOf(verdict: Extract<Verdict, { kind: 'retry' | 'unauthorised' }>): string {
  const status = verdict.status === null ? '' : `HTTP ${verdict.status} `;
  return `${status}${verdict.message}`.trim();
}
