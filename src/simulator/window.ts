/**
 * Counting over a sliding second, exactly: a call at `b` lies in the same second as one at `a`
 * (a ≤ b) when b − a < 1000 ms. Times are milliseconds with fractions and must not go backwards;
 * one that does is taken as the latest seen.
 */

const SECOND_MS = 1000;
const FIRST_CAPACITY = 64;

/** The times of the last second in a ring that grows with the busiest second seen. */
class LastSecond {
  #times = new Float64Array(FIRST_CAPACITY);
  #head = 0;
  #size = 0;
  #latest = Number.NEGATIVE_INFINITY;

  /** Moves to `atMs`, forgets what is a second old or older, and returns the time it took. */
  advance(atMs: number): number {
    this.#latest = Math.max(this.#latest, atMs);
    while (this.#size > 0 && this.#latest - this.oldest() >= SECOND_MS) {
      this.#head = (this.#head + 1) & (this.#times.length - 1);
      this.#size -= 1;
    }
    return this.#latest;
  }

  push(atMs: number): void {
    if (this.#size === this.#times.length) this.#grow();
    this.#times[(this.#head + this.#size) & (this.#times.length - 1)] = atMs;
    this.#size += 1;
  }

  get size(): number {
    return this.#size;
  }

  oldest(): number {
    return this.#times[this.#head] ?? Number.NaN;
  }

  #grow(): void {
    const grown = new Float64Array(this.#times.length * 2);
    for (let i = 0; i < this.#size; i += 1) {
      grown[i] = this.#times[(this.#head + i) & (this.#times.length - 1)] ?? 0;
    }
    this.#times = grown;
    this.#head = 0;
  }
}

/** The highest number of arrivals in any second, however it is laid. */
export class PeakPerSecond {
  readonly #window = new LastSecond();
  #peak = 0;

  arrive(atMs: number): void {
    this.#window.push(this.#window.advance(atMs));
    this.#peak = Math.max(this.#peak, this.#window.size);
  }

  get peak(): number {
    return this.#peak;
  }
}

/** Lets at most `limit` calls pass in any second; what it turns away does not count. */
export class SlidingLimit {
  readonly #window = new LastSecond();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** 0 when the call may pass (it is then counted), else the milliseconds until one could. */
  take(atMs: number): number {
    const now = this.#window.advance(atMs);
    if (this.#window.size >= this.#limit) {
      return this.#window.size === 0 ? SECOND_MS : this.#window.oldest() + SECOND_MS - now;
    }
    this.#window.push(now);
    return 0;
  }
}
