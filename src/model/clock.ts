import { setTimeout as sleep } from 'node:timers/promises';

/** A call that is to come; cancelling one that has come does nothing. */
export interface Timer {
  cancel(): void;
}

/** Time as a part of the program sees it: passed in, so that a simulation can make it pass. */
export interface Clock {
  /** Milliseconds since some moment. It never goes back, and says nothing about the time of day. */
  now(): number;
  /** The time of day in epoch milliseconds. It goes back where the machine's clock is set back. */
  epochMs(): number;
  /** Resolves after `ms`; rejects as soon as `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `run` once after `ms`. */
  timer(ms: number, run: () => void): Timer;
}

/** The machine's own. */
export const systemClock: Clock = {
  now: () => performance.now(),
  epochMs: () => Date.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  },
  timer: (ms, run) => {
    const timer = setTimeout(run, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
