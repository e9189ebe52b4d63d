import Bottleneck from 'bottleneck';
import { type RateSchedule, StartWindow, Widening, rateSchedule } from './rate-schedule.ts';

/** How many ticks Bottleneck holds ahead, so that a late timer costs no permits. */
const TICKS_AHEAD_MAX = 8;
/** How long a larger share waits, so that the starts of who had it before are out of the window. */
export const RAISE_DELAY_MS = 1050;
const MAY_NOT_START_MS = 50;

export interface RateBudgetOptions {
  limitPerSecond: number;
  /** Monotonic, in milliseconds. */
  now: () => number;
  /** Asked right before each start; while it says no, nothing starts. Default: always. */
  mayStart?: () => boolean;
}

interface Waiter {
  isWanted: () => boolean;
  start: (isGranted: boolean) => void;
  stop: (reason: Error) => void;
}

/**
 * This instance's part of one of Iterable's limits. `take` resolves, in order of asking, when a
 * call may start; over any second, however laid, at most limit × share of them do. Bottleneck paces
 * the groups of permits; the StartWindow holds the limit where timers bunch.
 */
export class RateBudget {
  readonly #limitPerSecond: number;
  readonly #now: () => number;
  readonly #mayStart: () => boolean;
  #limiter = new Bottleneck();
  readonly #first: Waiter[] = [];
  readonly #behind: Waiter[] = [];
  #schedule: RateSchedule | null = null;
  #window = new StartWindow(1, 0);
  readonly #widening = new Widening();
  #stock = 0;
  #ticksAhead = 0;
  #timer: NodeJS.Timeout | null = null;
  #raise: NodeJS.Timeout | null = null;
  #share = 0;
  #closed: Error | null = null;

  /** Begins with a share of 0: nothing starts before `setShare`. */
  constructor(options: RateBudgetOptions) {
    this.#limitPerSecond = options.limitPerSecond;
    this.#now = options.now;
    this.#mayStart = options.mayStart ?? (() => true);
  }

  /** The share that counts now. */
  get share(): number {
    return this.#share;
  }

  /** Those who wait for their turn; whoever waits behind them is not counted. */
  get waiting(): number {
    return this.#first.length;
  }

  /**
   * Takes a share of 0 to 1. A smaller one counts at once; a larger one after RAISE_DELAY_MS, when
   * the calls that others started under it can no longer share a window with ours.
   */
  setShare(share: number): void {
    if (this.#raise !== null) clearTimeout(this.#raise);
    this.#raise = null;
    if (share <= this.#share) return this.#apply(share);
    this.#raise = setTimeout(() => this.#apply(share), RAISE_DELAY_MS);
  }

  /** Calls a second that may start; 0 while there is no share. */
  get perSecond(): number {
    return this.#limitPerSecond * this.#share;
  }

  /**
   * Resolves true when one call may start now, false where it is not wanted when its turn comes:
   * then nothing is spent. Who asks `isBehind` gets what the others leave. Rejects when the budget
   * is closed.
   */
  take(isWanted: () => boolean = () => true, isBehind = false): Promise<boolean> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    return new Promise((start, stop) => {
      (isBehind ? this.#behind : this.#first).push({ isWanted, start, stop });
      this.#pump();
    });
  }

  /** The server counted more than the limit: calls bunch on their way, so leave more room. */
  leaveMoreRoom(): void {
    this.#widening.widen(this.#now());
  }

  /** Rejects everyone who waits, and whoever asks later. */
  close(reason: Error): void {
    this.#closed = reason;
    if (this.#raise !== null) clearTimeout(this.#raise);
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const waiters of [this.#first, this.#behind]) {
      for (const waiter of waiters.splice(0)) waiter.stop(reason);
    }
  }

  #apply(share: number): void {
    this.#raise = null;
    if (share > this.#share) this.#widening.begin(this.#now());
    this.#share = share;
    this.#stock = 0;
    this.#schedule = rateSchedule(this.#limitPerSecond, share);
    if (this.#schedule === null) return;
    const { callsMax, windowMs, tickMs } = this.#schedule;
    this.#window = new StartWindow(callsMax, windowMs, this.#window.starts());
    this.#limiter = new Bottleneck({ minTime: tickMs });
    this.#ticksAhead = 0;
    this.#pump();
  }

  #pump(): void {
    if (this.#schedule === null || this.#closed !== null) return;
    while (this.#stock > 0) {
      const waiters = this.#next();
      if (waiters === null) break;
      const now = this.#now();
      const waitMs = this.#mayStart()
        ? this.#window.waitMs(now, this.#widening.extraMs(now))
        : MAY_NOT_START_MS;
      if (waitMs > 0) {
        this.#timer ??= setTimeout(() => {
          this.#timer = null;
          this.#pump();
        }, Math.ceil(waitMs));
        break;
      }
      this.#window.record(now);
      this.#stock -= 1;
      waiters.shift()?.start(true);
    }
    this.#askForTicks(this.#schedule.permits);
  }

  /** Whose first is next; what is not wanted any more leaves. */
  #next(): Waiter[] | null {
    for (const waiters of [this.#first, this.#behind]) {
      while (waiters[0]?.isWanted() === false) waiters.shift()?.start(false);
      if (waiters.length > 0) return waiters;
    }
    return null;
  }

  get #inAll(): number {
    return this.#first.length + this.#behind.length;
  }

  /** Enough ticks for those who wait, and one to have a group in stock for whoever comes next. */
  #askForTicks(permits: number): void {
    const short = this.#inAll + permits - this.#stock;
    const wanted = Math.min(Math.ceil(short / permits), TICKS_AHEAD_MAX);
    const limiter = this.#limiter;
    while (this.#ticksAhead < wanted) {
      this.#ticksAhead += 1;
      void limiter.schedule(() => Promise.resolve(this.#tick(limiter)));
    }
  }

  #tick(limiter: Bottleneck): void {
    // A tick of the schedule from before the share changed grants nothing.
    if (limiter !== this.#limiter || this.#schedule === null) return;
    this.#ticksAhead -= 1;
    const { permits } = this.#schedule;
    const stockMax = this.#inAll > 0 ? permits * TICKS_AHEAD_MAX : permits;
    this.#stock = Math.min(this.#stock + permits, stockMax);
    this.#pump();
  }
}
