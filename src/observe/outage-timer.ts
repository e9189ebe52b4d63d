/** One line a minute while an outage lasts. */
const REPEAT_MS = 60_000;

export interface OutageTimes {
  /** What is over sooner is not worth a word. */
  graceMs: number;
  /** What comes again so soon after its end is the same outage. */
  settleMs: number;
}

/** A line to say now. `forMs`: how long the outage has lasted. */
export interface OutageLine {
  kind: 'begun' | 'lasts' | 'over';
  forMs: number;
}

/**
 * Decides when a line about an outage is due: one when it begins, one a minute while it lasts, one
 * when it ends. Nothing is said of the end of what nothing was said of. Pure: it is told the time,
 * in ms of one clock.
 */
export class OutageTimer {
  readonly #times: OutageTimes;
  #graceMs = Number.POSITIVE_INFINITY;
  #sinceMs: number | null = null;
  #saidMs: number | null = null;
  #endMs: number | null = null;

  constructor(times: OutageTimes) {
    this.#times = times;
  }

  /** It does not work. `graceMs`: of what was noticed now; the shortest of an outage counts. */
  failed(nowMs: number, graceMs = this.#times.graceMs): void {
    this.#sinceMs ??= nowMs;
    this.#graceMs = Math.min(this.#graceMs, graceMs);
    this.#endMs = null;
  }

  /** It works. */
  works(nowMs: number): void {
    if (this.#sinceMs !== null) this.#endMs ??= nowMs;
  }

  /** When the next line is due unless something happens before; null while there is nothing to say. */
  get dueMs(): number | null {
    if (this.#sinceMs === null) return null;
    if (this.#endMs !== null) {
      return this.#endMs + (this.#saidMs === null ? 0 : this.#times.settleMs);
    }
    if (this.#saidMs === null) return this.#sinceMs + this.#graceMs;
    return this.#saidMs + REPEAT_MS;
  }

  /** The line that is due, or null; `isNews`: one is due whatever was said before. */
  take(nowMs: number, isNews = false): OutageLine | null {
    const { dueMs } = this;
    if (this.#sinceMs === null || dueMs === null) return null;
    const isOver = this.#endMs !== null;
    if (nowMs < dueMs && (isOver || !isNews)) return null;
    const forMs = (this.#endMs ?? nowMs) - this.#sinceMs;
    const wasSaid = this.#saidMs !== null;
    if (isOver) {
      this.#sinceMs = null;
      this.#saidMs = null;
      this.#endMs = null;
      this.#graceMs = Number.POSITIVE_INFINITY;
      return wasSaid ? { kind: 'over', forMs } : null;
    }
    this.#saidMs = nowMs;
    return { kind: wasSaid ? 'lasts' : 'begun', forMs };
  }
}
