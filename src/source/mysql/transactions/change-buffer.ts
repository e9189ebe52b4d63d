import type { OutgoingBatch } from '../../../topics/port.ts';
import type { Gap, ResyncNeeded, SourceItem, SourcePosition } from '../../port.ts';
import type { TransactionEnd } from '../dump/events.ts';
import { type Batch, BatchQueue, type Counted, bytesOf } from './batch-queue.ts';

/** Above the high mark the binlog is paused; it goes on below the low one. */
export const BUFFER_BYTES_HIGH = 8 * 1024 * 1024;
export const BUFFER_BYTES_LOW = 4 * 1024 * 1024;

export interface ChangeBufferOptions {
  newBatch: () => OutgoingBatch;
  /** The action for transactions that have ended. */
  onEnds: (ends: TransactionEnd) => void;
  /** As it is after the actions that have run. */
  position: () => SourcePosition;
  onFull: () => void;
  onRoom: () => void;
}

/**
 * What was read and is not published yet, bounded in bytes. It is handed out in order: all that was
 * gathered while the item before was published, but nothing that may still be rolled back (see
 * BatchQueue).
 */
export class ChangeBuffer {
  readonly #options: ChangeBufferOptions;
  readonly #queue: BatchQueue;
  /** Handed out, and not followed by another one; its actions are still to run. */
  #handedOut: Batch | null = null;
  #handedOutBytes = 0;
  #resync: ResyncNeeded | null = null;
  #gap: Gap | null = null;
  #isFull = false;
  #isClosed = false;
  #wake: (() => void) | null = null;

  constructor(options: ChangeBufferOptions) {
    this.#options = options;
    this.#queue = new BatchQueue(options.newBatch, options.onEnds);
  }

  /** Above the high mark, and not below the low one since. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** In memory, with what is handed out. */
  get bytes(): number {
    return this.#queue.bytes + this.#handedOutBytes;
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

  /** `action` runs when everything up to here is handed out: before its position is told. */
  mark(action: () => void): void {
    this.#queue.mark(action);
    this.#changed();
  }

  /** A transaction has ended, or a file; its action is `onEnds`, as if it were marked. */
  end(end: TransactionEnd): void {
    this.#queue.end(end);
    this.#changed();
  }

  /** Everyone is to be looked at: handed out before all that is not yet. */
  resync(because: string): void {
    this.#resync = { kind: 'resync', because, times: (this.#resync?.times ?? 0) + 1 };
    this.#wake?.();
  }

  /** Changes are missing: handed out before all that is not yet. */
  gap(gap: Gap): void {
    this.#gap = gap;
    this.#wake?.();
  }

  /** Nothing more comes: what is left is handed out, without what is undecided. */
  close(): void {
    this.#queue.takeBack();
    this.#queue.decide();
    this.#isClosed = true;
    this.#wake?.();
  }

  /** The next item, as soon as there is one; the one before is published. Undefined after the last. */
  async next(): Promise<SourceItem | undefined> {
    this.#release();
    for (;;) {
      const item = this.#take();
      if (item !== undefined || this.#isClosed) return item;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }

  #take(): SourceItem | undefined {
    const told = this.#resync ?? this.#gap;
    if (told !== null) {
      if (told.kind === 'resync') this.#resync = null;
      else this.#gap = null;
      return told;
    }
    const batch = this.#queue.next();
    if (batch === undefined) return undefined;
    this.#handedOut = batch;
    this.#handedOutBytes = bytesOf(batch);
    const { messages, rows, actions } = batch;
    const position = (): SourcePosition => {
      if (this.#handedOut === batch) this.#runActions();
      return this.#options.position();
    };
    return { kind: 'changes', messages, rows, position: actions.length > 0 ? position : null };
  }

  #release(): void {
    this.#runActions();
    if (this.#handedOutBytes === 0) return;
    this.#handedOutBytes = 0;
    this.#changed();
  }

  #runActions(): void {
    for (const action of this.#handedOut?.actions ?? []) action();
    this.#handedOut = null;
  }

  #changed(): void {
    const { bytes } = this;
    if (!this.#isFull && bytes > BUFFER_BYTES_HIGH) {
      this.#isFull = true;
      this.#options.onFull();
    } else if (this.#isFull && bytes < BUFFER_BYTES_LOW) {
      this.#isFull = false;
      this.#options.onRoom();
    }
    this.#wake?.();
  }
}
