import Bottleneck from 'bottleneck';
import type { Clock, Timer } from '../../model/clock.ts';
import {
  EvenStarts,
  type RateSchedule,
  StartWindow,
  TypicalWait,
  Widening,
  rateSchedule,
} from './rate-schedule.ts';

/** How long a larger share waits, so that the starts of who had it before are out of the window. */
export const RAISE_DELAY_MS = 1050;
const MAY_NOT_START_MS = 50;

export interface RateLimiterOptions {
  limitPerSecond: number;
  clock: Clock;
  /** Asked right before each start; while it says no, nothing starts. Default: always. */
  mayStart?: () => boolean;
}

/** A call that was let through, for `answered`. */
export interface Start {
  readonly window: StartWindow;
  readonly call: number;
  readonly atMs: number;
}

interface Waiter {
  isWanted: () => boolean;
  start: (start: Start | null) => void;
  stop: (reason: Error) => void;
}

/**
 * This instance's part of one of Iterable's limits. `take` resolves, in order of asking, when a
 * call may start; over any second, however laid, at most limit × share of them do. Bottleneck paces
 * the groups of permits; EvenStarts keeps those apart that a stall has held up together; the
 * StartWindow holds the limit, whatever the timers do.
 */
export class RateLimiter {
  readonly #limitPerSecond: number;
  readonly #clock: Clock;
  readonly #mayStart: () => boolean;
  #bottleneck = new Bottleneck();
  readonly #first: Waiter[] = [];
  readonly #behind: Waiter[] = [];
  #schedule: RateSchedule | null = null;
  #window = new StartWindow(1, 0);
  #even: EvenStarts | null = null;
  readonly #widening = new Widening();
  readonly #typical = new TypicalWait();
  #stock = 0;
  #ticksAhead = 0;
  #timer: Timer | null = null;
  #raise: Timer | null = null;
  #share = 0;
  #closed: Error | null = null;

  /** Begins with a share of 0: nothing starts before `setShare`. */
  constructor(options: RateLimiterOptions) {
    this.#limitPerSecond = options.limitPerSecond;
    this.#clock = options.clock;
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
   * the calls that others started under it can no longer share a window with ours. Since
   * `freeSinceMs` (monotonic, default: now) nobody else has started any.
   */
  setShare(share: number, freeSinceMs = this.#clock.now()): void {
    this.#raise?.cancel();
    this.#raise = null;
    if (share <= this.#share) return this.#apply(share);
    const delayMs = freeSinceMs + RAISE_DELAY_MS - this.#clock.now();
    if (delayMs <= 0) return this.#apply(share);
    this.#raise = this.#clock.timer(Math.ceil(delayMs), () => this.#apply(share));
  }

  /** Calls a second that may start; 0 while there is no share. */
  get perSecond(): number {
    return this.#limitPerSecond * this.#share;
  }

  /**
   * Resolves when one call may start now; with null where it is not wanted when its turn comes:
   * then nothing is spent. Who asks `isBehind` gets what the others leave. Rejects when the limiter
   * is closed.
   */
  take(isWanted: () => boolean = () => true, isBehind = false): Promise<Start | null> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    return new Promise((start, stop) => {
      (isBehind ? this.#behind : this.#first).push({ isWanted, start, stop });
      this.#pump();
    });
  }

  /** The call's answer is there: how long it took tells when the call may have arrived. */
  answered({ window, call, atMs }: Start): void {
    const tookMs = this.#clock.now() - atMs;
    window.arrived(call, this.#typical.lateMs(tookMs));
    this.#typical.note(tookMs);
  }

  /** The server counted more than the limit: calls bunch on their way, so leave more room. */
  leaveMoreRoom(): void {
    this.#widening.widen(this.#clock.now());
  }

  /** Rejects everyone who waits, and whoever asks later. */
  close(reason: Error): void {
    this.#closed = reason;
    this.#raise?.cancel();
    this.#timer?.cancel();
    for (const waiters of [this.#first, this.#behind]) {
      for (const waiter of waiters.splice(0)) waiter.stop(reason);
    }
  }

  #apply(share: number): void {
    this.#raise = null;
    if (share > this.#share) this.#widening.begin(this.#clock.now());
    this.#share = share;
    this.#stock = 0;
    this.#schedule = rateSchedule(this.#limitPerSecond, share);
    if (this.#schedule === null) return;
    const { callsMax, windowMs, tickMs } = this.#schedule;
    this.#even = new EvenStarts(this.#schedule);
    this.#window = new StartWindow(callsMax, windowMs, this.#window.times());
    this.#bottleneck = new Bottleneck({ minTime: tickMs });
    this.#ticksAhead = 0;
    this.#pump();
  }

  #pump(): void {
    if (this.#schedule === null || this.#closed !== null) return;
    while (this.#stock > 0) {
      const waiters = this.#next();
      if (waiters === null) break;
      const now = this.#clock.now();
      const waitMs = this.#waitMs(now);
      if (waitMs > 0) {
        this.#timer ??= this.#clock.timer(Math.ceil(waitMs), () => {
          this.#timer = null;
          this.#pump();
        });
        break;
      }
      const window = this.#window;
      const call = window.record(now);
      this.#even?.record(now, window.isFree(now, this.#widening.extraMs(now)));
      this.#stock -= 1;
      waiters.shift()?.start({ window, call, atMs: now });
    }
    this.#askForTicks(this.#schedule);
  }

  #waitMs(now: number): number {
    if (!this.#mayStart()) return MAY_NOT_START_MS;
    const windowMs = this.#window.waitMs(now, this.#widening.extraMs(now));
    return Math.max(windowMs, this.#even?.waitMs(now) ?? 0);
  }

  /** Whose first is next; what is not wanted any more leaves. */
  #next(): Waiter[] | null {
    for (const waiters of [this.#first, this.#behind]) {
      while (waiters[0]?.isWanted() === false) waiters.shift()?.start(null);
      if (waiters.length > 0) return waiters;
    }
    return null;
  }

  get #inAll(): number {
    return this.#first.length + this.#behind.length;
  }

  /**
   * Enough ticks for those who wait, and for whoever comes next. They are asked for ahead, as many
   * as a stall may hold up: a late timer costs no permits.
   */
  #askForTicks({ permits, reserve, stockMax }: RateSchedule): void {
    const wanted = Math.min(this.#inAll + reserve, stockMax) - this.#stock;
    const ticks = Math.floor(wanted / permits);
    const bottleneck = this.#bottleneck;
    while (this.#ticksAhead < ticks) {
      this.#ticksAhead += 1;
      void bottleneck.schedule(() => Promise.resolve(this.#tick(bottleneck)));
    }
  }

  #tick(bottleneck: Bottleneck): void {
    // A tick of the schedule from before the share changed grants nothing.
    if (bottleneck !== this.#bottleneck || this.#schedule === null) return;
    this.#ticksAhead -= 1;
    const { permits, reserve, stockMax } = this.#schedule;
    const most = this.#inAll > 0 ? stockMax : reserve;
    this.#stock = Math.min(this.#stock + permits, most);
    this.#pump();
  }
}
