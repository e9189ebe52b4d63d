import type { OutgoingBatch, Publisher } from '../topics/port.ts';
import {
  type Batch,
  BatchQueue,
  type Counted,
  bytesOf,
  emptyBatch,
} from '../source/mysql/transactions/batch-queue.ts';
import type { TransactionEnd } from '../source/mysql/dump/events.ts';

/** Above the high mark the binlog is paused; it goes on below the low one. */
export const QUEUE_BYTES_HIGH = 8 * 1024 * 1024;
export const QUEUE_BYTES_LOW = 4 * 1024 * 1024;

/** A checkpoint costs a write of its own: a crash repeats at most what came since the last one. */
const CHECKPOINT_INTERVAL_MS = 200;

export interface PublishQueueOptions {
  publisher: Publisher;
  source: string;
  /** The checkpoint's text as it is after the actions that have run. */
  checkpoint: () => string;
  /** The action for transactions that have ended. */
  onEnds: (ends: TransactionEnd) => void;
  onFull: () => void;
  onRoom: () => void;
  /** These rows are durable in the topics. */
  onPublished: (rows: ReadonlyMap<string, number>) => void;
  /** Cuts short the publishing too. */
  signal: AbortSignal;
}

/**
 * Publishes in order, one batch after the other, gathering the next while one is under way: at
 * once when idle, in large batches under load. A checkpoint says only what was published. Of a
 * transaction that may still be rolled back nothing is published (see BatchQueue).
 */
export class PublishQueue {
  readonly #options: PublishQueueOptions;
  readonly #queue: BatchQueue;
  #publishingBytes = 0;
  #isFull = false;
  #isClosed = false;
  #hasUnsaved = false;
  #savedMs = Number.NEGATIVE_INFINITY;
  #wake: (() => void) | null = null;
  #publishingSinceMs: number | null = null;
  /** Resolves when all is published after `close`; rejects when publishing fails. */
  readonly done: Promise<void>;

  constructor(options: PublishQueueOptions) {
    this.#options = options;
    this.#queue = new BatchQueue(() => options.publisher.batch(), options.onEnds);
    this.done = this.#run();
    // Whoever awaits it sees the failure; until then it is no unhandled one.
    this.done.catch(() => undefined);
  }

  /** Above the high mark, and not below the low one since. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** In memory, with what is being published now. */
  get bytes(): number {
    return this.#queue.bytes + this.#publishingBytes;
  }

  /** How long the publish that is under way has taken so far; 0 when none is. */
  get publishingMs(): number {
    return this.#publishingSinceMs === null ? 0 : performance.now() - this.#publishingSinceMs;
  }

  /** How many events may still be taken back. */
  get undecided(): number {
    return this.#queue.undecided;
  }

  /** From here on `rows` may be taken back, until `decide`. */
  begin(): void {
    this.#queue.begin();
  }

  /** The messages of one event of the transaction, which `fill` pushes; returns their bytes. */
  rows(fill: (to: OutgoingBatch) => Counted): number {
    const bytes = this.#queue.rows(fill);
    this.#changed();
    return bytes;
  }

  /** Takes back all undecided events but the first so many; returns how many bytes went. */
  takeBack(keep = 0): number {
    const bytes = this.#queue.takeBack(keep);
    this.#changed();
    return bytes;
  }

  /** What was undecided counts. */
  decide(): void {
    this.#queue.decide();
    this.#wake?.();
  }

  /** Messages that belong to no transaction of the log. */
  add(fill: (to: OutgoingBatch) => void, counted?: Counted): void {
    this.#queue.add(fill, counted);
    this.#changed();
  }

  /** `action` runs right before everything up to here is published with a checkpoint. */
  mark(action: () => void): void {
    this.#queue.mark(action);
    this.#hasUnsaved = true;
    this.#changed();
  }

  /** A transaction has ended, or a file; its action is `onEnds`, as if it were marked. */
  end(end: TransactionEnd): void {
    this.#queue.end(end);
    this.#hasUnsaved = true;
    this.#changed();
  }

  /** Nothing more comes: publishes the rest, without what is undecided, and saves the checkpoint. */
  close(): Promise<void> {
    this.#queue.takeBack();
    this.#queue.decide();
    this.#isClosed = true;
    this.#wake?.();
    return this.done;
  }

  #changed(): void {
    const { bytes } = this;
    if (!this.#isFull && bytes > QUEUE_BYTES_HIGH) {
      this.#isFull = true;
      this.#options.onFull();
    } else if (this.#isFull && bytes < QUEUE_BYTES_LOW) {
      this.#isFull = false;
      this.#options.onRoom();
    }
    this.#wake?.();
  }

  async #run(): Promise<void> {
    for (;;) {
      const batch = this.#queue.next();
      if (batch === undefined) {
        if (this.#isClosed && !this.#hasUnsaved) return;
        await this.#idle();
        continue;
      }
      await this.#publish(batch);
    }
  }

  async #publish(batch: Batch): Promise<void> {
    const { publisher, source, checkpoint, signal } = this.#options;
    const { messages, actions, rows } = batch;
    this.#publishingBytes = bytesOf(batch);
    for (const action of actions) action();
    const isDue =
      this.#hasUnsaved &&
      (this.#isClosed || performance.now() - this.#savedMs >= CHECKPOINT_INTERVAL_MS);
    if (messages.count > 0 || isDue) {
      this.#publishingSinceMs = performance.now();
      await publisher.publish(
        messages,
        isDue ? { source, value: checkpoint() } : undefined,
        signal,
      );
      this.#publishingSinceMs = null;
    }
    if (isDue) {
      this.#savedMs = performance.now();
      this.#hasUnsaved = this.#queue.hasActions;
    }
    this.#options.onPublished(rows);
    this.#publishingBytes = 0;
    this.#changed();
  }

  /** Until something comes, or until the checkpoint has waited long enough. */
  async #idle(): Promise<void> {
    if (this.#hasUnsaved) {
      const dueInMs = this.#isClosed
        ? 0
        : this.#savedMs + CHECKPOINT_INTERVAL_MS - performance.now();
      return dueInMs > 0
        ? this.#sleep(dueInMs)
        : this.#publish(emptyBatch(this.#options.publisher.batch()));
    }
    return this.#sleep(null);
  }

  #sleep(ms: number | null): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        this.#wake = null;
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
    });
  }
}
