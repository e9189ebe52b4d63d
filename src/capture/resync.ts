import { setTimeout as sleep } from 'node:timers/promises';
import { USER_CHANGE_SCHEMA } from '../topics/messages.ts';
import type { PublishQueue } from './publish-queue.ts';
import { userChange } from './messages.ts';
import { COMMIT_GAP_MS } from '../source/mysql/server.ts';

const ROOM_WAIT_MS = 50;
const RETRY_MS = 2_000;
/** What keeps coming does not put a look off for longer. */
const SETTLING_MS_MAX = 5_000;
/** Between two looks, and so many times as long as the last one took: a tenth of the time at most. */
const PAUSE_MS_MIN = 5_000;
const PAUSE_FACTOR = 10;

export interface EveryoneOptions {
  /** The topic. */
  userChanges: string;
  eligibleUserIds: () => AsyncIterable<readonly (number | string)[]>;
  /** Reads anew, before each look, what the stream must know of the tables; it may reject. */
  refresh: () => Promise<void>;
  queue: Pick<PublishQueue, 'add' | 'mark' | 'isFull'>;
  onError: (error: unknown) => void;
  signal: AbortSignal;
}

/**
 * Asks for a look at every eligible user beside the stream, after something that the log does not
 * tell row by row. `because` is not null until all of them are asked for, and is to be saved with
 * the place: whoever goes on from there asks again. However often it is asked, the looks come one
 * after the other, with pauses.
 */
export class Everyone {
  readonly #options: EveryoneOptions;
  #because: string | null = null;
  #asked = 0;
  #done = 0;
  #isRunning = false;
  /** `performance.now()` before which no other look begins. */
  #pauseEndMs = Number.NEGATIVE_INFINITY;

  constructor(options: EveryoneOptions) {
    this.#options = options;
  }

  get because(): string | null {
    return this.#because;
  }

  ask(because: string): void {
    this.#because = because;
    this.#asked += 1;
    if (!this.#isRunning) void this.#run();
  }

  /** Never rejects, and adds nothing once `signal` has aborted. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    const { onError, signal } = this.#options;
    while (this.#done < this.#asked && !signal.aborted) {
      try {
        const asked = await this.#settled();
        const startMs = performance.now();
        await this.#options.refresh();
        await this.#publish();
        if (signal.aborted) break;
        this.#done = asked;
        const endMs = performance.now();
        this.#pauseEndMs = endMs + Math.max(PAUSE_MS_MIN, (endMs - startMs) * PAUSE_FACTOR);
        this.#options.queue.mark(() => {
          if (this.#asked === asked) this.#because = null;
        });
      } catch (error) {
        if (signal.aborted) break;
        onError(error);
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
    this.#isRunning = false;
  }

  /**
   * How often was asked for what is visible now. It waits until nothing came for a moment, since
   * migrations come in rows, and for the end of the pause.
   */
  async #settled(): Promise<number> {
    const latestMs = Math.max(performance.now() + SETTLING_MS_MAX, this.#pauseEndMs);
    for (;;) {
      const asked = this.#asked;
      await sleep(COMMIT_GAP_MS, undefined, { signal: this.#options.signal });
      const nowMs = performance.now();
      if (nowMs < this.#pauseEndMs) continue;
      if (asked === this.#asked || nowMs >= latestMs) return asked;
    }
  }

  async #publish(): Promise<void> {
    const { userChanges, queue, signal } = this.#options;
    const headers = { schema: USER_CHANGE_SCHEMA };
    for await (const ids of this.#options.eligibleUserIds()) {
      while (queue.isFull) await sleep(ROOM_WAIT_MS, undefined, { signal });
      if (signal.aborted) return;
      const nowMs = Date.now();
      queue.add((to) => {
        for (const id of ids) to.push(userChange(userChanges, id, 'ddl', nowMs, headers));
      });
    }
  }
}
