import type { Position } from '../group-position.ts';

/** Finds logs that became shorter while they were looked at. */
export class Ends {
  readonly #ends = new Map<string, number>();
  #suspects = new Set<string>();

  /**
   * Those that end before where they ended once, seen twice in a row: a leader that has just been
   * chosen may not know for a moment how far the log goes. Each is told once.
   */
  shortened(positions: readonly Position[]): Position[] {
    const suspects = new Set<string>();
    const shortened: Position[] = [];
    for (const at of positions) {
      const key = `${at.topic}/${at.partition}`;
      if (at.high >= (this.#ends.get(key) ?? 0)) this.#ends.set(key, at.high);
      else if (this.#suspects.has(key)) {
        this.#ends.set(key, at.high);
        shortened.push(at);
      } else suspects.add(key);
    }
    this.#suspects = suspects;
    return shortened;
  }

  /** Their loss is known: what they are now is where they begin. */
  restart(positions: readonly Position[]): void {
    for (const { topic, partition, high } of positions) {
      this.#ends.set(`${topic}/${partition}`, high);
    }
  }
}
