import type { Clock } from '../../model/clock.ts';
import type { KeyReply } from './read-response.ts';

/**
 * What became of the question whether the key is accepted. `unanswered`: Iterable, or whatever is
 * there in its place, said neither.
 */
export type KeyAnswer = 'accepted' | 'refused' | 'unanswered';

/** Questions begin at least so far apart. */
const APART_MS = 500;

/**
 * Asks about the key by itself, where a call was answered with 401 or 403, or where it is in doubt
 * whether Iterable is there at all. At most one question is out at a time. An answer counts only for
 * those who asked before its question began: a key may be revoked at any moment, and a record must
 * not be refused because the key was good a second earlier.
 */
export class KeyQuestion {
  readonly #check: () => Promise<KeyReply>;
  readonly #clock: Clock;
  #current: Promise<unknown> = Promise.resolve();
  #next: Promise<KeyAnswer> | null = null;

  /** `check` must never reject (IterableHttp.checkKey). */
  constructor(check: () => Promise<KeyReply>, clock: Clock) {
    this.#check = check;
    this.#clock = clock;
  }

  /** Never rejects. */
  ask(): Promise<KeyAnswer> {
    if (this.#next !== null) return this.#next;
    const answer = this.#current.then(async () => {
      this.#next = null;
      const reply = this.#check();
      const apart = this.#clock.sleep(APART_MS, undefined, { ref: false });
      this.#current = Promise.all([reply, apart]);
      return answerOf(await reply);
    });
    this.#next = answer;
    return answer;
  }
}

function answerOf({ kind }: KeyReply): KeyAnswer {
  if (kind === 'ok') return 'accepted';
  return kind === 'unauthorised' ? 'refused' : 'unanswered';
}
