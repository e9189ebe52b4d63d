import type { OutgoingBatch } from '../../../topics/port.ts';
import type { RowsChange } from '../../port.ts';
import type { TransactionEnd } from '../dump/events.ts';
import { TransactionEnds } from './transaction-ends.ts';

/** One publish at most: below the 1 MB that a Kafka broker takes in one batch of a partition. */
const BATCH_BYTES_MAX = 512 * 1024;
const BATCH_ACTIONS_MAX = 5_000;

/** What an action is taken for: it holds a position. */
const ACTION_BYTES = 100;

/** Rows of one event. */
export interface Counted {
  kind: string;
  rows: number;
}

const KINDS = {
  customers: {
    insert: 'customers.insert',
    update: 'customers.update',
    delete: 'customers.delete',
  },
  page_views: {
    insert: 'page_views.insert',
    update: 'page_views.update',
    delete: 'page_views.delete',
  },
} as const;

/** What an event is counted as, once its rows were read. */
export function countedOf({ table, operation, rows }: RowsChange): Counted {
  return { kind: KINDS[table][operation], rows: rows.count };
}

/** What is handed out at a time. */
export interface Batch {
  messages: OutgoingBatch;
  /** For when all of it is handed out: what they are about is in this batch or an earlier one. */
  actions: (() => void)[];
  /** By kind. */
  rows: Map<string, number>;
}

/** What may still be taken back: the last messages of the last batch. */
interface Undecided {
  batch: Batch;
  /** The batch's messages before the first of these. */
  from: number;
  /** Event by event; `end`: how many messages there are after it. */
  events: (Counted & { end: number })[];
}

/**
 * What is to be handed out, in order. Messages are encoded as they come. Those of a transaction that
 * may still be rolled back lie behind all others, and `next` leaves them there.
 */
export class BatchQueue {
  readonly #newMessages: () => OutgoingBatch;
  readonly #batches: Batch[] = [];
  #bytes = 0;
  #isOpen = false;
  /** null also in a transaction that has no rows yet. */
  #undecided: Undecided | null = null;
  /** Of the last action, where it is of ends. */
  #ends: { batch: Batch; ends: TransactionEnds } | null = null;
  readonly #onEnds: (ends: TransactionEnd) => void;

  /** `onEnds`: the action for transactions that have ended, one after the other or many at once. */
  constructor(newMessages: () => OutgoingBatch, onEnds: (ends: TransactionEnd) => void) {
    this.#newMessages = newMessages;
    this.#onEnds = onEnds;
  }

  /** In memory, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many events may still be taken back. */
  get undecided(): number {
    return this.#undecided?.events.length ?? 0;
  }

  /** From here on `rows` may be taken back, until `decide`. */
  begin(): void {
    this.#isOpen = true;
  }

  /** The messages of one event of the transaction, which `fill` pushes; returns their bytes. */
  rows(fill: (to: OutgoingBatch) => Counted): number {
    if (this.#isOpen && this.#undecided === null) {
      const batch = this.#lastBatch();
      batch.messages.settle();
      this.#undecided = { batch, from: batch.messages.count, events: [] };
    }
    const undecided = this.#undecided;
    const batch = undecided?.batch ?? this.#lastBatch();
    const before = batch.messages.bytes;
    const { kind, rows } = fill(batch.messages);
    if (undecided === null) count(batch, kind, rows);
    else undecided.events.push({ kind, rows, end: batch.messages.count - undecided.from });
    const bytes = batch.messages.bytes - before;
    this.#bytes += bytes;
    return bytes;
  }

  /** Takes back all undecided events but the first so many; returns how many bytes went. */
  takeBack(keep = 0): number {
    if (this.#undecided === null) return 0;
    const { batch, from, events } = this.#undecided;
    const before = batch.messages.bytes;
    events.splice(keep);
    batch.messages.cut(from + (events.at(-1)?.end ?? 0));
    const bytes = before - batch.messages.bytes;
    this.#bytes -= bytes;
    return bytes;
  }

  /** What was undecided counts. */
  decide(): void {
    this.#isOpen = false;
    if (this.#undecided === null) return;
    const { batch, events } = this.#undecided;
    for (const { kind, rows } of events) count(batch, kind, rows);
    this.#undecided = null;
  }

  /** Messages that belong to no transaction of the log. */
  add(fill: (to: OutgoingBatch) => void, counted?: Counted): void {
    const batch = this.#decidedBatch();
    const before = batch.messages.bytes;
    fill(batch.messages);
    this.#bytes += batch.messages.bytes - before;
    if (counted !== undefined) count(batch, counted.kind, counted.rows);
  }

  /** `action` is for when everything decided up to here is handed out. */
  mark(action: () => void): void {
    this.#ends = null;
    this.#act(this.#decidedBatch(), action);
  }

  /** The same for a transaction that has ended; those that follow one another share an action. */
  end(end: TransactionEnd): void {
    const batch = this.#decidedBatch();
    if (this.#ends?.batch === batch && this.#ends.ends.takeIn(end)) return;
    const ends = new TransactionEnds(end);
    this.#act(batch, () => this.#onEnds(ends));
    this.#ends = { batch, ends };
  }

  /** Takes the next batch off; undefined where there is none, or nothing in it is decided. */
  next(): Batch | undefined {
    const [first] = this.#batches;
    if (first !== undefined && first === this.#undecided?.batch) {
      if (this.#undecided.from === 0 && first.actions.length === 0) return undefined;
      this.#setApart(this.#undecided);
    }
    const next = this.#batches.shift();
    if (next !== undefined) this.#bytes -= bytesOf(next);
    return next;
  }

  #act(batch: Batch, action: () => void): void {
    batch.actions.push(action);
    this.#bytes += ACTION_BYTES;
  }

  /** The last batch as long as there is room in it. */
  #lastBatch(): Batch {
    const last = this.#batches.at(-1);
    const hasRoom =
      last !== undefined &&
      last.messages.bytes < BATCH_BYTES_MAX &&
      last.actions.length < BATCH_ACTIONS_MAX;
    return hasRoom ? last : this.#append(this.#newMessages());
  }

  /** The one before what is undecided. */
  #decidedBatch(): Batch {
    if (this.#undecided === null) return this.#lastBatch();
    const { batch, from } = this.#undecided;
    const before = this.#batches.at(-2);
    if (from === 0 && before !== undefined) return before;
    this.#setApart(this.#undecided);
    return batch;
  }

  /** Gives what is undecided a batch of its own, after the one that it was in. */
  #setApart(undecided: Undecided): void {
    const { messages } = undecided.batch;
    const before = messages.bytes;
    undecided.batch = this.#append(messages.cut(undecided.from));
    undecided.from = 0;
    this.#bytes += messages.bytes + undecided.batch.messages.bytes - before;
  }

  #append(messages: OutgoingBatch): Batch {
    const batch = emptyBatch(messages);
    this.#batches.push(batch);
    return batch;
  }
}

const emptyBatch = (messages: OutgoingBatch): Batch => ({
  messages,
  actions: [],
  rows: new Map(),
});

/** In memory, about. */
export function bytesOf({ messages, actions }: Batch): number {
  return messages.bytes + actions.length * ACTION_BYTES;
}

function count(batch: Batch, kind: string, rows: number): void {
  batch.rows.set(kind, (batch.rows.get(kind) ?? 0) + rows);
}
