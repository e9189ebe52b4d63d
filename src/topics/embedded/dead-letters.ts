import type { DatabaseSync } from 'node:sqlite';
import type { DeadLetter, DeadLetterStore } from '../port.ts';
import { explained } from './sqlite-error.ts';

/** Dead letters in the topics file. */
export class EmbeddedDeadLetters implements DeadLetterStore {
  readonly #db: DatabaseSync;

  readonly #file: string;

  constructor(db: DatabaseSync, file: string) {
    this.#db = db;
    this.#file = file;
  }

  add(letters: readonly DeadLetter[]): Promise<void> {
    return this.#attempt(() => {
      const add = this.#db.prepare(
        'INSERT INTO dead_letters (id, time, letter) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET time = excluded.time, letter = excluded.letter',
      );
      for (const letter of letters) add.run(letter.id, letter.time, JSON.stringify(letter));
    });
  }

  list(): Promise<DeadLetter[]> {
    return this.#attempt(() =>
      this.#db
        .prepare('SELECT letter FROM dead_letters ORDER BY time, id')
        .all()
        .map((row) => JSON.parse(String(row['letter'])) as DeadLetter),
    );
  }

  remove(ids: readonly string[]): Promise<void> {
    return this.#attempt(() => {
      const remove = this.#db.prepare('DELETE FROM dead_letters WHERE id = ?');
      for (const id of ids) remove.run(id);
    });
  }

  /** A synchronous body whose failure is a rejection. */
  async #attempt<T>(body: () => T): Promise<T> {
    try {
      return await Promise.resolve().then(body);
    } catch (error) {
      throw explained(this.#file, error);
    }
  }
}
