import { setTimeout as sleep } from 'node:timers/promises';
import { USER_CHANGE_SCHEMA } from '../topics/messages.ts';
import type { Outbox } from './outbox.ts';
import { MESSAGE_BYTES, userChange } from './row-messages.ts';
import { COMMIT_GAP_MS } from './source.ts';

const ROOM_WAIT_MS = 50;
const RETRY_MS = 2_000;

export interface EveryoneOptions {
  /** The topic. */
  userChanges: string;
  eligibleUserIds: () => AsyncIterable<readonly (number | string)[]>;
  outbox: Pick<Outbox, 'add' | 'mark' | 'isFull'>;
  onError: (error: unknown) => void;
  signal: AbortSignal;
}

/**
 * Asks for a look at every eligible user beside the stream, after something that the log does not
 * tell row by row. `because` is not null until all of them are asked for, and is to be saved with
 * the place: whoever goes on from there asks again.
 */
export class Everyone {
  readonly #options: EveryoneOptions;
  #because: string | null = null;
  #asked = 0;
  #done = 0;
  #isRunning = false;

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
        await this.#publish();
        if (signal.aborted) break;
        this.#done = asked;
        this.#options.outbox.mark(() => {
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

  /** Once what was done is visible, and nothing came for as long: migrations come in rows. */
  async #settled(): Promise<number> {
    for (;;) {
      const asked = this.#asked;
      await sleep(COMMIT_GAP_MS, undefined, { signal: this.#options.signal });
      if (asked === this.#asked) return asked;
    }
  }

  async #publish(): Promise<void> {
    const { userChanges, outbox, signal } = this.#options;
    const headers = { schema: USER_CHANGE_SCHEMA };
    for await (const ids of this.#options.eligibleUserIds()) {
      while (outbox.isFull) await sleep(ROOM_WAIT_MS, undefined, { signal });
      if (signal.aborted) return;
      const nowMs = Date.now();
      outbox.add((to) => {
        for (const id of ids) to.push(userChange(userChanges, id, 'ddl', nowMs, headers));
        return ids.length * MESSAGE_BYTES;
      });
    }
  }
}
