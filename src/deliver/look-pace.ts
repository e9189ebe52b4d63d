/** Who comes shortly after others waits for no longer than this, to be looked at with them. */
const GATHER_MS_MAX = 10;
/** Looks begin this many times their own length apart: what comes meanwhile goes together. */
const APART = 1.5;
const FOLLOW = 0.1;

/**
 * When the next look may begin. One statement about many users costs little more than one about
 * one: where they come one after the other, those of a few milliseconds go together. Whoever comes
 * when there was no look for so long is looked at at once.
 */
export class LookPace {
  /** How long looks take, of late; null before the first has ended. */
  #tookMs: number | null = null;
  #beganMs = Number.NEGATIVE_INFINITY;

  began(nowMs: number): void {
    this.#beganMs = nowMs;
  }

  ended(tookMs: number): void {
    this.#tookMs ??= tookMs;
    this.#tookMs += (tookMs - this.#tookMs) * FOLLOW;
  }

  /** In how many ms a look may begin; 0: now. */
  waitMs(nowMs: number): number {
    const gatherMs = Math.min((this.#tookMs ?? 0) * APART, GATHER_MS_MAX);
    return Math.max(0, this.#beganMs + gatherMs - nowMs);
  }
}
