import { hash } from 'node:crypto';
import type { EligibleUser } from '../rule/eligible-user.ts';

/**
 * Remembers what was last sent for each user: the page view and a hash of all that was sent with
 * it. At most `usersMax` users; the one not sent for longest is forgotten first. Forgetting, or
 * losing all of it, costs repeats and never a hole.
 */
export class SentMemory {
  readonly #usersMax: number;
  readonly #sent = new Map<string, string>();

  constructor(usersMax: number) {
    this.#usersMax = usersMax;
  }

  get size(): number {
    return this.#sent.size;
  }

  /** Whether exactly this was the last that was sent for the user. */
  holds(user: EligibleUser): boolean {
    return this.#sent.get(user.userId) === fingerprint(user);
  }

  forget(userId: string): void {
    this.#sent.delete(userId);
  }

  /** Forgets everyone: someone else may have sent something since. */
  clear(): void {
    this.#sent.clear();
  }

  remember(user: EligibleUser): void {
    this.#sent.delete(user.userId);
    this.#sent.set(user.userId, fingerprint(user));
    if (this.#sent.size > this.#usersMax) {
      const oldest = this.#sent.keys().next();
      if (!oldest.done) this.#sent.delete(oldest.value);
    }
  }
}

function fingerprint(user: EligibleUser): string {
  return hash('sha1', JSON.stringify(user), 'base64');
}
