import { setTimeout as sleep } from 'node:timers/promises';

/** A call that is to come; cancelling one that has come does nothing. */
export interface Timer {
  cancel(): void;
}

export interface SleepOptions {
  /** false: the process may end while this is waited for. */
  ref?: boolean;
}

/** Time as a part of the program sees it: passed in, so that a simulation can make it pass. */
export interface Clock {
  /** Milliseconds since some moment. It never goes back, and says nothing about the time of day. */
  now(): number;
  /** The time of day in epoch milliseconds. It goes back where the machine's clock is set back. */
  epochMs(): number;
  /** Resolves after `ms`; rejects as soon as `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal, options?: SleepOptions): Promise<void>;
  /** Calls `run` once after `ms`. */
  timer(ms: number, run: () => void): Timer;
}

/** The machine's own. */
export const systemClock: Clock = {
  now: () => performance.now(),
  epochMs: () => Date.now(),
  sleep: async (ms, signal, options = {}) => {
    await sleep(ms, undefined, signal === undefined ? options : { ...options, signal });
  },
  timer: (ms, run) => {
    const timer = setTimeout(run, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
