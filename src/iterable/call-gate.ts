import { PROBES, SLOW_DOWNS, retryDelayMs } from './retry-schedule.ts';
import type { Verdict } from './read-response.ts';

/** So many failures in a row, of whichever calls, mean that Iterable is down, not one record. */
const FAILURES_IN_A_ROW = 5;
/** How often a refused key is tried again: it may have been set right on Iterable's side. */
const KEY_RETRY_MS = 5_000;

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

/**
 * One gate before all calls. While Iterable answers, it is open. After several failures in a row,
 * a 429 or a refused key it closes for a time; then one call goes through as a probe, and its
 * answer opens the gate or closes it for longer.
 */
export class CallGate {
  readonly #options: CallGateOptions;
  #waiters: { go: () => void; stop: (reason: Error) => void }[] = [];
  #state: GateState = { reason: null, detail: '', closedSinceMs: null };
  #failures = 0;
  #holdUps = 0;
  #opensAtMs = 0;
  #probing = false;
  #timer: NodeJS.Timeout | null = null;
  #closed: Error | null = null;

  constructor(options: CallGateOptions) {
    this.#options = options;
  }

  /** How often it was closed and is open again: whoever came before has waited then. */
  get holdUps(): number {
    return this.#holdUps;
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
  async pass(): Promise<boolean> {
    for (;;) {
      if (this.#closed !== null) throw this.#closed;
      if (this.isOpen) return false;
      if (!this.#probing && this.#options.now() >= this.#opensAtMs) {
        this.#probing = true;
        return true;
      }
      await new Promise<void>((go, stop) => {
        this.#waiters.push({ go, stop });
        this.#wakeLater();
      });
    }
  }

  /** What came of a call that passed. */
  report(verdict: Verdict, probe: boolean): void {
    if (probe) this.#probing = false;
    if (verdict.kind === 'ok' || verdict.kind === 'refused') {
      if (this.isOpen || probe) this.#open();
      return;
    }
    if (!this.isOpen && !probe) return;
    this.#failures += 1;
    if (verdict.kind === 'unauthorised') {
      return this.#close(
        'key-refused',
        `HTTP ${verdict.status} ${verdict.message}`.trim(),
        KEY_RETRY_MS,
      );
    }
    const status = verdict.status === null ? '' : `HTTP ${verdict.status} `;
    const detail = `${status}${verdict.message}`.trim();
    const attempt = Math.max(1, this.#failures - FAILURES_IN_A_ROW + 1);
    const schedule = verdict.status === 429 ? SLOW_DOWNS : PROBES;
    const delayMs = retryDelayMs(schedule, attempt, this.#options.random(), verdict.retryAfterMs);
    if (verdict.status === 429) return this.#close('slow-down', detail, delayMs);
    if (this.#failures >= FAILURES_IN_A_ROW || probe) this.#close('down', detail, delayMs);
  }

  /** A probe that was given up before it was sent; another one takes its place. */
  abandon(probe: boolean): void {
    if (!probe) return;
    this.#probing = false;
    this.#wakeLater();
  }

  /** Rejects everyone who waits, and whoever comes later. */
  close(reason: Error): void {
    this.#closed = reason;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const waiter of this.#waiters.splice(0)) waiter.stop(reason);
  }

  #open(): void {
    this.#failures = 0;
    if (this.isOpen) return;
    this.#holdUps += 1;
    this.#set({ reason: null, detail: '', closedSinceMs: null });
    this.#wake();
  }

  #close(reason: NonNullable<GateState['reason']>, detail: string, delayMs: number): void {
    this.#opensAtMs = this.#options.now() + delayMs;
    const closedSinceMs = this.#state.closedSinceMs ?? this.#options.now();
    this.#set({ reason, detail, closedSinceMs });
    this.#wakeLater();
  }

  #set(state: GateState): void {
    const changed = state.reason !== this.#state.reason;
    this.#state = state;
    if (changed) this.#options.onChange(state);
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.go();
  }

  #wakeLater(): void {
    if (this.#timer !== null || this.#probing || this.#closed !== null) return;
    const delayMs = Math.max(1, Math.ceil(this.#opensAtMs - this.#options.now()));
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#waiters.shift()?.go();
    }, delayMs);
  }
}
