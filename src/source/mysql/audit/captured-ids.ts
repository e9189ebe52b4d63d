import type { Id } from '../../port.ts';

/** So many ids share a word: one row of `GROUP BY id DIV 32`, with one bit for each. */
export const WORD_IDS = 32;

/** Some 40 MB. Ids that follow one another fill 32 to a word, random ones one each. */
const WORDS_MAX = 500_000;

export function isAbove(a: Id, b: Id): boolean {
  return typeof a === 'number' && typeof b === 'number' ? a > b : BigInt(a) > BigInt(b);
}

/** As mysql2 gives integers back: a number where that is exact. */
function exact(value: bigint): Id {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value);
}

function wordOf(id: Id): Id {
  return typeof id === 'number' ? Math.floor(id / WORD_IDS) : exact(BigInt(id) / BigInt(WORD_IDS));
}

function firstIdOf(word: Id): bigint {
  return BigInt(word) * BigInt(WORD_IDS);
}

/** Remembers which ids above a floor were seen, in bounded memory: when it is full it says so. */
export class CapturedIds {
  readonly #words = new Map<Id, number>();
  readonly #wordsMax: number;
  #floor: Id = 0;
  #isFull = false;
  /** The word that the last number was of, whose bits are not in the map yet. */
  #word = -1;
  #bits = 0;

  constructor(wordsMax = WORDS_MAX) {
    this.#wordsMax = wordsMax;
  }

  /** Some ids were not remembered: nothing can be said of any. */
  get isFull(): boolean {
    this.#settle();
    return this.#isFull;
  }

  add(id: Id): void {
    if (!isAbove(id, this.#floor)) return;
    const word = wordOf(id);
    if (typeof word !== 'number') {
      return this.#put(word, 1 << Number(BigInt(id) % BigInt(WORD_IDS)));
    }
    // Ids mostly follow one another.
    if (word !== this.#word) {
      this.#settle();
      this.#word = word;
    }
    this.#bits |=
      1 << Number(typeof id === 'number' ? id % WORD_IDS : BigInt(id) % BigInt(WORD_IDS));
  }

  #settle(): void {
    if (this.#bits !== 0) this.#put(this.#word, this.#bits);
    this.#bits = 0;
  }

  #put(word: Id, bits: number): void {
    const before = this.#words.get(word);
    if (before === undefined && this.#words.size >= this.#wordsMax) this.#isFull = true;
    else this.#words.set(word, (before ?? 0) | bits);
  }

  /** Ids of a word of the table that were not seen; `bits` has bit n for the word's nth id. */
  missing(word: Id, bits: number): Id[] {
    this.#settle();
    const unseen = bits & ~(this.#words.get(word) ?? 0);
    if (unseen === 0) return [];
    return Array.from({ length: WORD_IDS }, (_, bit) => bit)
      .filter((bit) => (unseen & (1 << bit)) !== 0)
      .map((bit) => exact(firstIdOf(word) + BigInt(bit)));
  }

  /** Ids up to here do not matter any more. */
  forgetTo(floor: Id): void {
    this.#settle();
    this.#floor = floor;
    const last = wordOf(floor);
    for (const word of this.#words.keys()) if (isAbove(last, word)) this.#words.delete(word);
  }

  clear(): void {
    this.#bits = 0;
    this.#words.clear();
    this.#floor = 0;
    this.#isFull = false;
  }
}
