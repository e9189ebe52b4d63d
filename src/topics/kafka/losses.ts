import type { Position } from './positions.ts';

/** What kafkajs commits where it asked for messages that aren't there (ConsumerGroup.setDefaultOffset). */
const RESET = -2;

export const isKnownGroup = (positions: readonly Position[]): boolean =>
  positions.some(({ saved }) => saved >= 0);

/**
 * Whether messages went that a group had not read: retention took them, the log was cut, or the
 * topic was made anew (Kafka forgets a group's offsets with the topic). A group without any offset
 * is a new one. Pure.
 */
export function isLost({ saved, low, high }: Position, isKnown: boolean): boolean {
  if (saved >= 0) return saved < low || saved > high;
  return isKnown || saved === RESET || low > 0;
}

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
