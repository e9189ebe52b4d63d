import { setImmediate as turn } from 'node:timers/promises';
import { type Clock, systemClock } from '../../src/model/clock.ts';

interface Timer {
  dueMs: number;
  seq: number;
  run: () => void;
}

/**
 * A clock that moves only while `run` says so, in place of the global timers and Date.now. It can
 * stand in for a process that stalls: timers that were due meanwhile then run late, one after the
 * other, as they do after a garbage collection.
 */
export class VirtualTime implements Disposable {
  nowMs = 0;
  readonly #timers = new Map<number, Timer>();
  readonly #real = { setTimeout, clearTimeout, now: Date.now.bind(Date) };
  /** The same time, for what has its clock passed in. */
  readonly clock: Clock = { ...systemClock, now: () => this.nowMs };
  #seq = 0;

  constructor() {
    const set = (run: () => void, ms = 0): NodeJS.Timeout => {
      this.#seq += 1;
      // Node's timers are whole milliseconds, at least one.
      const dueMs = this.nowMs + Math.max(1, Math.trunc(ms));
      this.#timers.set(this.#seq, { dueMs, seq: this.#seq, run });
      return this.#seq as unknown as NodeJS.Timeout;
    };
    globalThis.setTimeout = set as unknown as typeof setTimeout;
    globalThis.clearTimeout = (timer: unknown) => void this.#timers.delete(timer as number);
    Date.now = () => Math.trunc(this.nowMs);
  }

  /** Runs what is due up to `untilMs`. `stalls`: [when, how long], in order. */
  async run(untilMs: number, stalls: readonly (readonly [number, number])[] = []): Promise<void> {
    const left = stalls.filter(([at]) => at >= this.nowMs);
    await this.#settle();
    for (;;) {
      const next = this.#next();
      if (next === null || next.dueMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, next.dueMs);
      const [stall] = left;
      if (stall !== undefined && stall[0] <= this.nowMs) {
        left.shift();
        this.nowMs = Math.max(this.nowMs, stall[0] + stall[1]);
      }
      this.#timers.delete(next.seq);
      next.run();
      await this.#settle();
    }
    this.nowMs = untilMs;
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = this.#real.setTimeout;
    globalThis.clearTimeout = this.#real.clearTimeout;
    Date.now = this.#real.now;
  }

  #next(): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.#timers.values()) {
      if (first === null || timer.dueMs < first.dueMs) first = timer;
    }
    return first;
  }

  /** What a timer has set off comes to rest. */
  async #settle(): Promise<void> {
    await turn();
  }
}
