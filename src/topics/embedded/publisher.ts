import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../model/clock.ts';
import type { Outages } from '../../observe/outages.ts';
import { BatchSet, asBatchSet } from '../batch/batch-set.ts';
import { BufferPool } from '../batch/buffer-pool.ts';
import type { OutgoingBatch, OutgoingMessage, Publisher } from '../port.ts';
import type { EmbeddedLog } from './log.ts';
import { type SqliteTrouble, explained, troubleOf } from './sqlite-error.ts';

const WAIT_MS: Readonly<Record<SqliteTrouble, number | null>> = {
  busy: 10,
  space: 1_000,
  broken: null,
  other: null,
};

/** One publish after the other may hold up everything else for so long, and for one more. */
const BUSY_MS_MAX = 10;

export interface PublisherDeps {
  log: EmbeddedLog;
  /** For messages. */
  file: string;
  clock: Clock;
  outages: Outages;
  onAppended: () => void;
}

/** Appends to the file; waits, and says so, while there is no room for more. */
export class EmbeddedPublisher implements Publisher {
  readonly #deps: PublisherDeps;
  readonly #pool = new BufferPool();
  #last: Promise<void> = Promise.resolve();
  #turnedMs = Number.NEGATIVE_INFINITY;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  batch(): BatchSet {
    const partitionsOf = (topic: string): number => this.#deps.log.partitions(topic);
    return new BatchSet({ partitionsOf, nowMs: null, pool: this.#pool });
  }

  publish(
    messages: OutgoingBatch | readonly OutgoingMessage[],
    checkpoint?: { source: string; value: string },
    signal?: AbortSignal,
  ): Promise<void> {
    const done = this.#last.then(async () => {
      const set = asBatchSet(messages, () => this.batch());
      await this.#append(set, checkpoint ?? null, signal);
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async loadCheckpoint(source: string): Promise<string | null> {
    try {
      return await Promise.resolve(this.#deps.log.loadCheckpoint(source));
    } catch (error) {
      throw explained(this.#deps.file, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
  }

  /** All of it is synchronous: without a turn, a long queue holds up timers, sockets and signals. */
  async #turn(): Promise<void> {
    const { clock } = this.#deps;
    if (clock.now() - this.#turnedMs < BUSY_MS_MAX) return;
    await turn();
    this.#turnedMs = clock.now();
  }

  async #append(
    set: BatchSet,
    checkpoint: { source: string; value: string } | null,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { log, file, clock, outages, onAppended } = this.#deps;
    for (;;) {
      try {
        log.append(set, checkpoint, clock.epochMs());
        outages.set('topics file', 'publishing', null);
        if (set.count > 0) onAppended();
        for (const { batches } of set.queues) for (const batch of batches) batch.release();
        await this.#turn();
        return;
      } catch (error) {
        const trouble = troubleOf(error);
        const waitMs = WAIT_MS[trouble];
        if (waitMs === null || signal?.aborted === true) throw explained(file, error);
        if (trouble === 'space') {
          const { message } = error as Error;
          outages.set(
            'topics file',
            'publishing',
            `the topics file ${file} cannot be written (${message}): free disk space under STATE_DIR; capture waits and loses nothing`,
            { isAdvice: true },
          );
        }
        await clock.sleep(waitMs, signal);
      }
    }
  }
}
