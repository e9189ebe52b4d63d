import type { OutgoingMessage, Publisher } from '../topics/port.ts';

/** Above the high mark the binlog is paused; it goes on below the low one. */
export const QUEUE_BYTES_HIGH = 16 * 1024 * 1024;
export const QUEUE_BYTES_LOW = 8 * 1024 * 1024;

/** One publish at most: below the 1 MB that a Kafka broker takes in one batch of a partition. */
const BATCH_BYTES_MAX = 512 * 1024;

/** A checkpoint costs a write of its own: a crash repeats at most what came since the last one. */
const CHECKPOINT_INTERVAL_MS = 200;

/** What an action in the queue is taken for: it holds a position. */
const ACTION_BYTES = 100;

interface Batch {
  messages: OutgoingMessage[];
  bytes: number;
  /** Each belongs after all messages that were in the batch, or in those before, when it came. */
  actions: (() => void)[];
  /** Rows by kind. */
  rows: Map<string, number>;
}

const emptyBatch = (): Batch => ({ messages: [], bytes: 0, actions: [], rows: new Map() });

export interface OutboxOptions {
  publisher: Publisher;
  source: string;
  /** The checkpoint's text as it is after the actions that have run. */
  checkpoint: () => string;
  onFull: () => void;
  onRoom: () => void;
  /** These rows are durable in the topics. */
  onPublished: (rows: ReadonlyMap<string, number>) => void;
  /** Cuts short the publishing too. */
  signal: AbortSignal;
}

/**
 * Publishes in order, one batch after the other, gathering the next while one is under way: at
 * once when idle, in large batches under load. A checkpoint says only what was published.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  #batches: Batch[] = [];
  #bytes = 0;
  #isFull = false;
  #isClosed = false;
  #hasUnsaved = false;
  #savedMs = Number.NEGATIVE_INFINITY;
  #wake: (() => void) | null = null;
  #publishingSinceMs: number | null = null;
  /** Resolves when all is published after `close`; rejects when publishing fails. */
  readonly done: Promise<void>;

  constructor(options: OutboxOptions) {
    this.#options = options;
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
    return this.#bytes;
  }

  /** How long the publish that is under way has taken so far; 0 when none is. */
  get publishingMs(): number {
    return this.#publishingSinceMs === null ? 0 : performance.now() - this.#publishingSinceMs;
  }

  /** Messages are appended to the list by `fill`, which returns their bytes; then they are counted. */
  add(fill: (to: OutgoingMessage[]) => number, counted?: { kind: string; rows: number }): void {
    const batch = this.#openBatch();
    const bytes = fill(batch.messages);
    if (counted !== undefined) {
      batch.rows.set(counted.kind, (batch.rows.get(counted.kind) ?? 0) + counted.rows);
    }
    batch.bytes += bytes;
    this.#grow(bytes);
  }

  /** `action` runs right before everything up to here is published with a checkpoint. */
  mark(action: () => void): void {
    this.#openBatch().actions.push(action);
    this.#grow(ACTION_BYTES);
    this.#hasUnsaved = true;
  }

  /** Nothing more comes: publishes the rest and saves the checkpoint. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    return this.done;
  }

  #openBatch(): Batch {
    const last = this.#batches.at(-1);
    if (last !== undefined && last.bytes < BATCH_BYTES_MAX && last.actions.length < 5_000)
      return last;
    const batch = emptyBatch();
    this.#batches.push(batch);
    return batch;
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    if (!this.#isFull && this.#bytes > QUEUE_BYTES_HIGH) {
      this.#isFull = true;
      this.#options.onFull();
    }
    this.#wake?.();
  }

  #shrink(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#isFull && this.#bytes < QUEUE_BYTES_LOW) {
      this.#isFull = false;
      this.#options.onRoom();
    }
  }

  async #run(): Promise<void> {
    for (;;) {
      const batch = this.#batches.shift();
      if (batch === undefined) {
        if (this.#isClosed && !this.#hasUnsaved) return;
        await this.#idle();
        continue;
      }
      await this.#publish(batch);
    }
  }

  async #publish({ messages, bytes, actions, rows }: Batch): Promise<void> {
    const { publisher, source, checkpoint, signal } = this.#options;
    for (const action of actions) action();
    const isDue =
      this.#hasUnsaved &&
      (this.#isClosed || performance.now() - this.#savedMs >= CHECKPOINT_INTERVAL_MS);
    if (messages.length > 0 || isDue) {
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
      this.#hasUnsaved = this.#batches.some((later) => later.actions.length > 0);
    }
    this.#options.onPublished(rows);
    this.#shrink(bytes + actions.length * ACTION_BYTES);
  }

  /** Until something comes, or until the checkpoint has waited long enough. */
  async #idle(): Promise<void> {
    if (this.#hasUnsaved) {
      const dueInMs = this.#isClosed
        ? 0
        : this.#savedMs + CHECKPOINT_INTERVAL_MS - performance.now();
      return dueInMs > 0 ? this.#sleep(dueInMs) : this.#publish(emptyBatch());
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
