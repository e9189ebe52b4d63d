import type { Caller } from './caller.ts';

/** So many callers, each failing at its first try and none succeeding between, are no accident. */
export const CALLERS_IN_A_ROW = 5;
/** So many failures of whomever, without a success between, are worth a question. */
export const FAILURES_IN_A_ROW = 5;

/**
 * The failures since the last call that succeeded, and what they tell:
 * - `down`: first tries of different callers fail one after the other; Iterable is down;
 * - `doubtful`: those that failed before fail again, and nobody has succeeded meanwhile: a few
 *   records that Iterable can't take, or Iterable itself; it has to be asked;
 * - `alone`: nothing yet.
 * A caller that has failed before cannot say `down`, however often it fails.
 */
export class FailureRun {
  readonly #callers = new Set<string>();
  #strangers = 0;
  #failures = 0;

  failed({ id, isRetry }: Caller): 'down' | 'doubtful' | 'alone' {
    this.#failures += 1;
    if (!isRetry && id === null) this.#strangers += 1;
    else if (!isRetry && id !== null) this.#callers.add(id);
    if (this.#callers.size + this.#strangers >= CALLERS_IN_A_ROW) return 'down';
    return this.#failures >= FAILURES_IN_A_ROW ? 'doubtful' : 'alone';
  }

  succeeded(): void {
    this.#callers.clear();
    this.#strangers = 0;
    this.#failures = 0;
  }

  /** Iterable was asked, and is there: doubt begins anew. */
  answered(): void {
    this.#failures = 0;
  }
}
