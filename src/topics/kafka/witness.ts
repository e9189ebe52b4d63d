import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin, Kafka } from 'kafkajs';
import { UnavailableError } from '../../errors.ts';
import type { Position } from '../group-position.ts';
import { readPositions } from './positions.ts';

const ANSWER_MS_MAX = 5_000;

export interface WitnessDeps {
  /** A client that gives up soon. */
  asking: Kafka;
  groupId: string;
  topics: readonly string[];
}

/**
 * Tells where a group and its partitions are, over connections that the group's consumer has no
 * part in: what the witness sees of Kafka doesn't hang on what it is to judge.
 */
export class Witness implements AsyncDisposable {
  readonly #deps: WitnessDeps;
  #admin: Promise<Admin> | null = null;
  #last: { atMs: number; positions: Promise<Position[]> } | null = null;
  /** Since when every question was answered; null while the last one was not. */
  answeringSinceMs: number | null = null;

  constructor(deps: WitnessDeps) {
    this.#deps = deps;
  }

  /** An answer at most `ageMs` old; rejects as `read` does. */
  recent(ageMs: number): Promise<Position[]> {
    const isOld = this.#last === null || performance.now() - this.#last.atMs > ageMs;
    return isOld || this.#last === null ? this.read() : this.#last.positions;
  }

  /** Asks anew. @throws after 5 s at most; the next question goes over a new connection then. */
  read(): Promise<Position[]> {
    const asked = { atMs: performance.now(), positions: this.#ask() };
    this.#last = asked;
    asked.positions.catch(() => {
      if (this.#last === asked) this.#last = null;
    });
    return asked.positions;
  }

  async #ask(): Promise<Position[]> {
    const { groupId, topics } = this.#deps;
    const over = new AbortController();
    const asked = performance.now();
    try {
      const positions = await Promise.race([
        readPositions({ admin: () => this.#connected(), groupId, topics }),
        tooLate(over.signal),
      ]);
      this.answeringSinceMs ??= asked;
      return positions;
    } catch (error) {
      this.answeringSinceMs = null;
      this.#drop();
      throw error;
    } finally {
      over.abort();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#drop();
    return Promise.resolve();
  }

  #connected(): Promise<Admin> {
    this.#admin ??= (async () => {
      const admin = this.#deps.asking.admin();
      await admin.connect();
      return admin;
    })();
    return this.#admin;
  }

  /** Not waited for: kafkajs' own goodbye may take as long as the question. */
  #drop(): void {
    const dropped = this.#admin;
    this.#admin = null;
    void dropped?.then((admin) => admin.disconnect()).catch(() => undefined);
  }
}

async function tooLate(signal: AbortSignal): Promise<never> {
  await sleep(ANSWER_MS_MAX, undefined, { signal, ref: false });
  throw new UnavailableError(`Kafka: no answer about the group's offsets in ${ANSWER_MS_MAX} ms`);
}
