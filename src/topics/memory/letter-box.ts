import type { DeadLetter, KeptLetter } from '../port.ts';

/** Dead letters in the order they were written. */
export class LetterBox {
  readonly #letters = new Map<string, KeptLetter>();
  #versions = 0;

  get count(): number {
    return this.#letters.size;
  }

  add(letters: readonly DeadLetter[]): void {
    for (const letter of letters) {
      this.#versions += 1;
      // Taken out first: the letter moves to the end.
      this.#letters.delete(letter.id);
      this.#letters.set(letter.id, {
        letter: structuredClone(letter),
        version: String(this.#versions),
      });
    }
  }

  all(): KeptLetter[] {
    return [...this.#letters.values()];
  }

  /** Those that are there as they were read. */
  stillKept(letters: readonly KeptLetter[]): KeptLetter[] {
    return letters.filter(
      ({ letter, version }) => this.#letters.get(letter.id)?.version === version,
    );
  }

  remove(letters: readonly KeptLetter[]): void {
    for (const { letter } of this.stillKept(letters)) this.#letters.delete(letter.id);
  }
}
