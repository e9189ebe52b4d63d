import type { DeadLetter, DeadLetterStore, KeptLetter } from '../port.ts';
import type { Connection } from './connection.ts';
import type { LetterBox } from './letter-box.ts';

const LETTERS_A_READ = 500;
const REQUEST = { kind: 'dead letters' } as const;

/** Dead letters at the broker. */
export class MemoryDeadLetters implements DeadLetterStore {
  readonly #connection: Connection;
  readonly #box: LetterBox;
  readonly #limits: { triesMax: number; signal: AbortSignal };

  constructor(
    connection: Connection,
    box: LetterBox,
    limits: { triesMax: number; signal: AbortSignal },
  ) {
    this.#connection = connection;
    this.#box = box;
    this.#limits = limits;
  }

  add(letters: readonly DeadLetter[]): Promise<void> {
    return this.#ask(() => this.#box.add(letters));
  }

  count(): Promise<number> {
    return this.#ask(() => this.#box.count);
  }

  async *list(): AsyncIterable<KeptLetter[]> {
    const all = await this.#ask(() => this.#box.all());
    for (let at = 0; at < all.length; at += LETTERS_A_READ) {
      const part = all.slice(at, at + LETTERS_A_READ);
      const kept = await this.#ask(() => this.#box.stillKept(part));
      if (kept.length > 0) yield kept;
    }
  }

  remove(letters: readonly KeptLetter[]): Promise<void> {
    return this.#ask(() => this.#box.remove(letters));
  }

  #ask<T>(work: () => T): Promise<T> {
    return this.#connection.ask(REQUEST, work, this.#limits);
  }
}
