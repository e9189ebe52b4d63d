import type { Clock, Timer } from '../model/clock.ts';
import type { Changes, Gap, ResyncNeeded, SourceItem, SourcePosition } from '../source/port.ts';
import type { OutgoingBatch, Publisher } from '../topics/port.ts';
import { type PendingResync, checkpointText } from './checkpoint.ts';

/** A checkpoint costs a write of its own: a crash repeats at most what came since the last one. */
const CHECKPOINT_INTERVAL_MS = 200;

export interface PublishQueueOptions {
  publisher: Publisher;
  /** What the checkpoint is kept by. */
  source: string;
  /** Where the first item begins. */
  start: SourcePosition;
  /** What is owed now: saved with the position. */
  pending: () => PendingResync | null;
  /** These rows are durable in the topics. */
  onPublished: (rows: ReadonlyMap<string, number>) => void;
  /** Publishing failed for good: the items are to end. */
  onFailed: () => void;
  clock: Clock;
  /** Cuts short the publishing too. */
  signal: AbortSignal;
}

/**
 * Publishes the source's items in order, one after the other: the source gathers the next while one is
 * under way, so that it is at once when idle, in large batches under load. A checkpoint says only what
 * was published.
 */
export class PublishQueue {
  readonly #options: PublishQueueOptions;
  readonly #clock: Clock;
  #position: () => SourcePosition;
  #hasUnsaved = false;
  #savedMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;
  #saving: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** Whether an item is under way. */
  #isPublishing = false;
  /** Publishes under way: of items one at most, and those of `publish` beside it. */
  #underWay = 0;
  #underWaySinceMs = 0;
  #besideBytes = 0;
  #failure: { error: unknown } | null = null;

  constructor(options: PublishQueueOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#position = () => options.start;
  }

  /** Where capture would resume: after all that is published, or under way. */
  get position(): SourcePosition {
    return this.#position();
  }

  /** In memory, beside what the source has. */
  get bytes(): number {
    return this.#besideBytes;
  }

  /** How long the publish that is under way has taken so far; 0 when none is. */
  get publishingMs(): number {
    return this.#underWay === 0 ? 0 : this.#clock.now() - this.#underWaySinceMs;
  }

  /**
   * Publishes all items, and at their end saves the position; `onTold` gets those that are no changes.
   * Rejects when publishing fails for good, and with what the items end with.
   */
  async run(
    items: AsyncIterable<SourceItem>,
    onTold: (item: ResyncNeeded | Gap) => void,
  ): Promise<void> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await iterator.next();
        if (this.#failure !== null) throw this.#failure.error;
        if (done === true) return;
        if (value.kind === 'changes') await this.#publish(value);
        else onTold(value);
      }
    } finally {
      await this.#close(iterator);
    }
  }

  /** Messages that are of no item; durable when it resolves. A failure ends `run` as well. */
  async publish(fill: (to: OutgoingBatch) => void): Promise<void> {
    const messages = this.#options.publisher.batch();
    fill(messages);
    const { bytes } = messages;
    this.#besideBytes += bytes;
    try {
      await this.#send(messages, false);
    } finally {
      this.#besideBytes -= bytes;
    }
  }

  /** What is pending has changed: saves it soon, also where nothing more comes. */
  save(): void {
    this.#hasUnsaved = true;
    this.#saveLater();
  }

  async #publish({ messages, rows, position }: Changes): Promise<void> {
    if (position !== null) {
      this.#position = position;
      this.#hasUnsaved = true;
    }
    const isDue = this.#hasUnsaved && this.#dueInMs() <= 0;
    if (messages.count > 0 || isDue) {
      this.#isPublishing = true;
      await this.#send(messages, isDue);
      this.#isPublishing = false;
    }
    if (this.#hasUnsaved) this.#saveLater();
    this.#options.onPublished(rows);
  }

  /** While no item comes: one that is under way saves the position itself, or has it saved after. */
  #saveLater(): void {
    if (this.#isClosed) return;
    this.#timer ??= this.#clock.timer(Math.max(0, this.#dueInMs()), () => {
      this.#timer = null;
      if (!this.#hasUnsaved || this.#isPublishing) return;
      // What it fails with ends `run`.
      this.#saving = this.#saveNow().catch(() => undefined);
    });
  }

  async #close(iterator: AsyncIterator<SourceItem>): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    try {
      await this.#saving;
      if (this.#failure !== null) throw this.#failure.error;
      if (this.#hasUnsaved) await this.#saveNow();
    } finally {
      await iterator.return?.();
    }
  }

  #dueInMs(): number {
    return this.#savedMs + CHECKPOINT_INTERVAL_MS - this.#clock.now();
  }

  #saveNow(): Promise<void> {
    return this.#send(this.#options.publisher.batch(), true);
  }

  async #send(messages: OutgoingBatch, isSaving: boolean): Promise<void> {
    const { publisher, source, pending, signal } = this.#options;
    const checkpoint = isSaving
      ? { source, value: checkpointText(this.#position(), pending(), this.#clock.epochMs()) }
      : undefined;
    // What changes from here on is saved by the next one.
    if (isSaving) this.#hasUnsaved = false;
    if (this.#underWay === 0) this.#underWaySinceMs = this.#clock.now();
    this.#underWay += 1;
    try {
      await publisher.publish(messages, checkpoint, signal);
    } catch (error) {
      this.#failure ??= { error };
      this.#options.onFailed();
      throw error;
    } finally {
      this.#underWay -= 1;
      this.#underWaySinceMs = this.#clock.now();
    }
    if (isSaving) this.#savedMs = this.#clock.now();
  }
}
