import { randomFrom } from '../workload.ts';

/** Draws, and remembers in words what was drawn. */
export class Dice {
  readonly #random: () => number;
  readonly words: string[] = [];

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** From 0 up to, and without, `end`. */
  below(end: number): number {
    return Math.floor(this.#random() * end);
  }

  of<T>(list: readonly T[]): T {
    const one = list[this.below(list.length)];
    if (one === undefined && list.length === 0) throw new Error('nothing to draw from');
    return one as T;
  }

  /** `usual` at most times, else one of the others, which is noted. */
  oddly<T>(probability: number, name: string, usual: T, others: readonly T[]): T {
    if (others.length === 0 || !this.chance(probability)) return usual;
    const drawn = this.of(others);
    this.note(`${name}=${String(drawn)}`);
    return drawn;
  }

  note(word: string): void {
    this.words.push(word);
  }

  /** Some of the list, in an order of its own. */
  some<T>(list: readonly T[], countMax: number): T[] {
    const left = [...list];
    const count = Math.min(this.below(countMax + 1), left.length);
    return Array.from({ length: count }, () => left.splice(this.below(left.length), 1)).flat();
  }

  shuffled<T>(list: readonly T[]): T[] {
    const left = [...list];
    return list.flatMap(() => left.splice(this.below(left.length), 1));
  }
}
