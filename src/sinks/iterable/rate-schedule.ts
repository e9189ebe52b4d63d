/** How a limit is spent: `permits` calls at every tick, a tick every `tickMs`. */
export interface RateSchedule {
  permits: number;
  tickMs: number;
  /** Calls that may start together after a pause: a few. */
  burst: number;
  /** Permits kept for whoever comes next, so that nobody waits for a tick, even after a stall. */
  reserve: number;
  /** Permits that wait for their turn at most: what a longer stall takes is not made good. */
  stockMax: number;
  /** The limit after the share, rounded down, or 1: no window of `windowMs` may hold more starts. */
  callsMax: number;
  windowMs: number;
}

/**
 * Bottleneck starts about 400 jobs a second at most, at 0.2 ms of CPU each, so a tick grants a group
 * of calls, which EvenStarts keeps apart.
 */
const TICKS_PER_SECOND_MAX = 100;
/** A second's calls are spread evenly over so much more than a second, for the network's jitter. */
const PACE_MS = 13;
/**
 * Windows are this much longer than a second at the sender. Less than PACE_MS: what starts late by
 * the difference puts off nothing a second later, so that late timers do not add up.
 */
const JITTER_MS = 10;
/** Of few calls a second a single one that is late is many: both are longer by up to this much … */
const FEW_MS = 75;
/** … the fewer than this they are. */
const MANY_CALLS = 100;
/** What may start together: the calls of this time. */
const BURST_MS = 12;
/** After a stall (a garbage collection, a busy machine) the calls of this time are made good … */
const STALL_MS = 400;
/** … those of this time though nobody has waited yet when it began … */
const RESERVE_MS = 100;
/** … so much faster than the schedule: spread out, where they would arrive as a bunch. */
const CATCH_UP_SPEED = 2;
/**
 * While so much of the window is free a bunch does no harm: then they are so much faster again, and
 * a stream below the limit is on time soon.
 */
const FREE_PART = 0.03;
const FREE_CALLS_MIN = 3;
const FREE_SPEED = 3;
/** A 429 shows that the way there jitters more: windows grow by this much, up to the maximum … */
const WIDEN_MS = 8;
const WIDEN_MS_MAX = 80;
/** … once in this time, since the calls that were on their way say nothing new … */
const WIDEN_EVERY_MS = 1_000;
/** … and shrink again by a millisecond in this time. */
const NARROW_EVERY_MS = 4_000;
/** A new share begins with so much more room, for connections and code that are still cold. */
const COLD_MS = 30;
const WARM_AFTER_MS = 2_000;

/**
 * The schedule for `share` (0 to 1) of `limitPerSecond`, or null where that is nothing. The ticks
 * alone keep below the limit; what a burst or a stall adds is bounded by StartWindow. Less than one
 * call a second is one call in so many seconds; members of a group don't add up then: their starts
 * may fall into the same second.
 */
export function rateSchedule(limitPerSecond: number, share: number): RateSchedule | null {
  const perSecond = limitPerSecond * share;
  if (perSecond <= 0) return null;
  const whole = Math.floor(perSecond + 1e-9);
  const callsMax = Math.max(1, whole);
  const spanMs = whole < 1 ? 1000 / perSecond : 1000;
  const fewMs = FEW_MS * Math.max(0, 1 - callsMax / MANY_CALLS);
  const permits = Math.max(1, Math.ceil(callsMax / TICKS_PER_SECOND_MAX));
  const callsIn = (ms: number): number => Math.ceil((callsMax * ms) / spanMs);
  const burst = Math.max(1, callsIn(BURST_MS));
  const reserve = burst + Math.max(permits, callsIn(RESERVE_MS));
  return {
    permits,
    tickMs: (permits * (spanMs + PACE_MS + fewMs)) / callsMax,
    burst,
    reserve,
    stockMax: Math.max(reserve, callsIn(STALL_MS)),
    callsMax,
    windowMs: spanMs + JITTER_MS + fewMs,
  };
}

/**
 * Keeps starts apart (GCRA): at most `burst` together, and then one for each interval of the
 * schedule, or somewhat faster where it is behind.
 */
export class EvenStarts {
  readonly #everyMs: number;
  readonly #aheadMsMax: number;
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor({ permits, tickMs, burst }: Pick<RateSchedule, 'permits' | 'tickMs' | 'burst'>) {
    this.#everyMs = tickMs / permits / CATCH_UP_SPEED;
    this.#aheadMsMax = (burst - 1) * this.#everyMs;
  }

  /** 0 when a call may start at `nowMs`, else the milliseconds to wait. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#dueMs - this.#aheadMsMax - nowMs);
  }

  /** A call starts at `nowMs`; `isFree` says that there is room enough for more. */
  record(nowMs: number, isFree: boolean): void {
    const everyMs = isFree ? this.#everyMs / FREE_SPEED : this.#everyMs;
    this.#dueMs = Math.max(this.#dueMs, nowMs) + everyMs;
  }
}

/** How much longer windows are for now: after a cold start, and after 429s. `nowMs` is monotonic. */
export class Widening {
  #ms = 0;
  #atMs = Number.NEGATIVE_INFINITY;
  #coldSinceMs = Number.NEGATIVE_INFINITY;

  /** A larger share begins. */
  begin(nowMs: number): void {
    this.#coldSinceMs = nowMs;
  }

  /** A 429 has come. */
  widen(nowMs: number): void {
    if (nowMs - this.#atMs < WIDEN_EVERY_MS) return;
    this.#ms = Math.min(this.#widenedMs(nowMs) + WIDEN_MS, WIDEN_MS_MAX);
    this.#atMs = nowMs;
  }

  extraMs(nowMs: number): number {
    const cold = COLD_MS * (1 - (nowMs - this.#coldSinceMs) / WARM_AFTER_MS);
    return Math.max(0, cold, this.#widenedMs(nowMs));
  }

  #widenedMs(nowMs: number): number {
    if (this.#ms === 0) return 0;
    return Math.max(0, this.#ms - (nowMs - this.#atMs) / NARROW_EVERY_MS);
  }
}

/** An answer this much later than others says no more of when its call has arrived. */
const LATE_MS_MAX = 300;
/** So many calls that follow one another are late when the way to the server stood still. */
const NEIGHBOURS = 3;
/** Of so many answers it is known how long they took. */
const WAITS_KEPT = 256;
/** What is typical is found out anew after so many. */
const WAITS_A_LOOK = 8;
/** The first answers come over cold connections and code: from them alone nothing is typical. */
const COLD_WAITS = 32;

/**
 * How long a call takes to be answered, of late: the median, so that the calls that a server's stalls
 * hold up do not pass for usual ones.
 */
export class TypicalWait {
  readonly #waits = new Float64Array(WAITS_KEPT);
  #noted = 0;
  #ms: number | null = null;

  note(ms: number): void {
    this.#waits[this.#noted % WAITS_KEPT] = ms;
    this.#noted += 1;
    if (this.#noted > WAITS_KEPT && this.#noted % WAITS_A_LOOK !== 0) return;
    const sorted = this.#waits.slice(0, this.#noted).sort();
    this.#ms = sorted[Math.floor(sorted.length / 2)] ?? ms;
  }

  /**
   * How much later than a typical one an answer is that took so long; bounded. One of the first may
   * have arrived as late as its answer came.
   */
  lateMs(ms: number): number {
    const typicalMs = this.#noted < COLD_WAITS ? 0 : (this.#ms ?? 0);
    return Math.min(Math.max(0, ms - typicalMs), LATE_MS_MAX);
  }
}

/**
 * The hard side of the limit: remembers the last `callsMax` calls, and says how long the next one
 * has to wait so that no window of `windowMs`, however laid, holds more than `callsMax` starts. A
 * call that seems to have arrived later than it started counts from then: the server may have stood
 * still, and counts what has piled up as of one moment.
 */
export class StartWindow {
  /** In the order of the starts. */
  readonly #times: Float64Array;
  readonly #windowMs: number;
  #recorded = 0;

  constructor(callsMax: number, windowMs: number, earlier: readonly number[] = []) {
    this.#times = new Float64Array(callsMax).fill(Number.NEGATIVE_INFINITY);
    this.#windowMs = windowMs;
    for (const time of earlier.slice(-callsMax)) this.record(time);
  }

  /** 0 when a call may start at `nowMs`, else the milliseconds to wait. */
  waitMs(nowMs: number, extraMs = 0): number {
    return Math.max(0, this.#oldest() + this.#windowMs + extraMs - nowMs);
  }

  /** Whether it would take FREE_PART more calls, and FREE_CALLS_MIN, at `nowMs`. */
  isFree(nowMs: number, extraMs = 0): boolean {
    const length = this.#times.length;
    const calls = Math.max(FREE_CALLS_MIN, Math.ceil(length * FREE_PART));
    if (calls >= length) return false;
    const leaving = this.#times[(this.#recorded + calls) % length] ?? nowMs;
    return leaving + this.#windowMs + extraMs <= nowMs;
  }

  /** Returns the call's number, for `arrived`. */
  record(nowMs: number): number {
    this.#times[this.#recorded % this.#times.length] = nowMs;
    return this.#recorded++;
  }

  /** The call may have arrived so long after its start; without effect once it is forgotten. */
  arrived(call: number, lateMs: number): void {
    const length = this.#times.length;
    if (call < this.#recorded - length) return;
    this.#times[call % length] = (this.#times[call % length] ?? 0) + lateMs;
  }

  /** What is remembered of the calls, oldest first. */
  times(): number[] {
    const next = this.#recorded % this.#times.length;
    const ordered = [...this.#times.subarray(next), ...this.#times.subarray(0, next)];
    return ordered.filter(Number.isFinite);
  }

  /**
   * From when the oldest counts. Where a call that started after it was answered in time, what was
   * late was that one call, and not the way to the server.
   */
  #oldest(): number {
    const length = this.#times.length;
    let oldest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < Math.min(NEIGHBOURS, length); i++) {
      oldest = Math.min(oldest, this.#times[(this.#recorded + i) % length] ?? oldest);
    }
    return oldest;
  }
}
