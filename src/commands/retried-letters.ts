import type { KeptLetter } from '../topics/port.ts';

/** Letters of one user that are being retried. */
interface Open {
  items: number;
  isRefused: boolean;
  done: KeptLetter[];
}

/**
 * Removes letters as they are done: all those of a user that are tried together, or none of them
 * where one is refused again. One removal at a time; what is done meanwhile goes with the next.
 */
export class RetriedLetters {
  readonly #remove: (letters: readonly KeptLetter[]) => Promise<void>;
  readonly #users = new Map<string, Open>();
  #waiting: KeptLetter[] = [];
  #removing: Promise<void> | null = null;
  #finished = 0;

  constructor(remove: (letters: readonly KeptLetter[]) => Promise<void>) {
    this.#remove = remove;
  }

  /** Letters with an outcome. */
  get finished(): number {
    return this.#finished;
  }

  /** One more letter of the user is tried. */
  begin(userId: string): void {
    const open = this.#users.get(userId) ?? { items: 0, isRefused: false, done: [] };
    open.items += 1;
    this.#users.set(userId, open);
  }

  /** It is done; once for each `begin`. */
  finish(userId: string, kept: KeptLetter, isRefused: boolean): void {
    const open = this.#users.get(userId);
    if (open === undefined) throw new Error(`no letter of the user ${userId} is tried`);
    this.#finished += 1;
    open.items -= 1;
    open.isRefused ||= isRefused;
    open.done.push(kept);
    if (open.items > 0) return;
    this.#users.delete(userId);
    if (!open.isRefused) this.#waiting.push(...open.done);
    this.#begin();
  }

  /** Resolves when all that are done are removed. @throws what a removal throws. */
  async removed(): Promise<void> {
    await this.#removing;
    this.#begin();
    await this.#removing;
  }

  #begin(): void {
    if (this.#removing !== null || this.#waiting.length === 0) return;
    this.#removing = this.#removeAll();
    // Whoever awaits `removed` sees a failure.
    this.#removing.catch(() => undefined);
  }

  /** After a failure nothing more is removed: what stays is retried once more, which is no harm. */
  async #removeAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#remove(this.#waiting.splice(0));
    this.#removing = null;
  }
}
