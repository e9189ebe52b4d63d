/**
 * How long nothing was heard, by the clock that counts longer: one stands still while a virtual
 * machine is suspended, the other jumps when it is set.
 */
export class HeardClock {
  #atMs = Number.NEGATIVE_INFINITY;
  #atEpochMs = Number.NEGATIVE_INFINITY;

  get silentMs(): number {
    return Math.max(performance.now() - this.#atMs, Date.now() - this.#atEpochMs);
  }

  heard(): void {
    this.#atMs = performance.now();
    this.#atEpochMs = Date.now();
  }
}
