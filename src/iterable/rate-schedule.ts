/** How a limit is spent: `permits` calls at every tick, a tick every `tickMs`. */
export interface RateSchedule {
  permits: number;
  tickMs: number;
  /** The limit after the share, rounded down, or 1: no window of `windowMs` may hold more starts. */
  callsMax: number;
  windowMs: number;
}

/** Bottleneck starts about 400 jobs a second at most, so a tick grants a group of calls. */
const TICKS_PER_SECOND_MAX = 250;
/** Windows are this much longer than a second at the sender, for the network's jitter. */
const JITTER_MS = 15;
/** A 429 shows that the way there jitters more: windows grow by this much, up to the maximum … */
const WIDEN_MS = 8;
const WIDEN_MS_MAX = 80;
/** … and shrink again by a millisecond in this time. */
const NARROW_EVERY_MS = 1_000;
/** A new share begins with so much more room, for connections and code that are still cold. */
const COLD_MS = 30;
const WARM_AFTER_MS = 2_000;

/**
 * The schedule for `share` (0 to 1) of `limitPerSecond`, or null where that is nothing. One group
 * may be in stock when a window opens, and a window touches one tick more than it is long, so
 * (ticks a window + 2) × permits ≤ callsMax holds for any window, however laid; where the share is
 * too small for that (under 4 calls) every start is spaced out evenly. Less than one call a second
 * is one call in so many seconds; members of a group don't add up then: their starts may fall into
 * the same second.
 */
export function rateSchedule(limitPerSecond: number, share: number): RateSchedule | null {
  const perSecond = limitPerSecond * share;
  if (perSecond <= 0) return null;
  const callsMax = Math.floor(perSecond + 1e-9);
  if (callsMax < 1) {
    const everyMs = 1000 / perSecond;
    return { permits: 1, tickMs: everyMs, callsMax: 1, windowMs: everyMs + JITTER_MS };
  }
  const windowMs = 1000 + JITTER_MS;
  const permits = Math.max(1, Math.ceil(callsMax / (TICKS_PER_SECOND_MAX + 2)));
  const ticks = Math.max(callsMax / permits - 2, callsMax / permits / 2);
  return { permits, tickMs: 1000 / ticks, callsMax, windowMs };
}

/** How much longer windows are for now: after a cold start, and after 429s. `nowMs` is monotonic. */
export class Widening {
  #ms = 0;
  #atMs = 0;
  #coldSinceMs = Number.NEGATIVE_INFINITY;

  /** A larger share begins. */
  begin(nowMs: number): void {
    this.#coldSinceMs = nowMs;
  }

  /** A 429 has come. */
  widen(nowMs: number): void {
    this.#ms = Math.min(this.#widenedMs(nowMs) + WIDEN_MS, WIDEN_MS_MAX);
    this.#atMs = nowMs;
  }

  extraMs(nowMs: number): number {
    const cold = COLD_MS * (1 - (nowMs - this.#coldSinceMs) / WARM_AFTER_MS);
    return Math.max(0, cold, this.#widenedMs(nowMs));
  }

  #widenedMs(nowMs: number): number {
    return Math.max(0, this.#ms - (nowMs - this.#atMs) / NARROW_EVERY_MS);
  }
}

/**
 * The hard side of the limit: remembers the last `callsMax` starts, and says how long the next
 * call has to wait so that no window of `windowMs`, however laid, holds more than `callsMax`.
 */
export class StartWindow {
  readonly #starts: Float64Array;
  readonly #windowMs: number;
  #next = 0;

  constructor(callsMax: number, windowMs: number, earlierStarts: readonly number[] = []) {
    this.#starts = new Float64Array(callsMax).fill(Number.NEGATIVE_INFINITY);
    this.#windowMs = windowMs;
    for (const start of earlierStarts.slice(-callsMax)) this.record(start);
  }

  /** 0 when a call may start at `nowMs`, else the milliseconds to wait. */
  waitMs(nowMs: number, extraMs = 0): number {
    const oldest = this.#starts[this.#next] ?? Number.NEGATIVE_INFINITY;
    return Math.max(0, oldest + this.#windowMs + extraMs - nowMs);
  }

  record(nowMs: number): void {
    this.#starts[this.#next] = nowMs;
    this.#next = (this.#next + 1) % this.#starts.length;
  }

  /** The starts remembered, oldest first. */
  starts(): number[] {
    const ordered = [...this.#starts.subarray(this.#next), ...this.#starts.subarray(0, this.#next)];
    return ordered.filter(Number.isFinite);
  }
}
