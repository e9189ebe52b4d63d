import type { DatabaseSync } from 'node:sqlite';
import type { DeadLetter, DeadLetterStore, KeptLetter } from '../port.ts';
import { explained } from './sqlite-error.ts';
import { inTransaction } from './transaction.ts';

const LETTERS_A_READ = 500;

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
      // Replaced, not updated: the row moves to the end.
      const add = this.#db.prepare(
        'INSERT OR REPLACE INTO dead_letters (id, time, letter) VALUES (?, ?, ?)',
      );
      inTransaction(this.#db, () => {
        for (const letter of letters) add.run(letter.id, letter.time, JSON.stringify(letter));
      });
    });
  }

  count(): Promise<number> {
    return this.#attempt(() => this.#number('SELECT COUNT(*) AS n FROM dead_letters'));
  }

  async *list(): AsyncIterable<KeptLetter[]> {
    const last = await this.#attempt(() =>
      this.#number('SELECT COALESCE(MAX(rowid), 0) AS n FROM dead_letters'),
    );
    for (let at = 0; at < last;) {
      const rows = await this.#attempt(() =>
        this.#db
          .prepare(
            'SELECT rowid, letter FROM dead_letters WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?',
          )
          .all(at, last, LETTERS_A_READ),
      );
      const [end] = rows.slice(-1);
      if (end === undefined) return;
      at = Number(end['rowid']);
      yield rows.map(({ letter }) => {
        const version = String(letter);
        return { letter: JSON.parse(version) as DeadLetter, version };
      });
    }
  }

  remove(letters: readonly KeptLetter[]): Promise<void> {
    return this.#attempt(() => {
      const remove = this.#db.prepare('DELETE FROM dead_letters WHERE id = ? AND letter = ?');
      inTransaction(this.#db, () => {
        for (const { letter, version } of letters) remove.run(letter.id, version);
      });
    });
  }

  #number(sql: string): number {
    return Number(this.#db.prepare(sql).get()?.['n'] ?? 0);
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
