import type { OutgoingMessage } from '../topics/port.ts';
import { estimateCommitMs } from './commit-time.ts';
import type { CaptureEvent, TransactionEnd } from './events.ts';
import type { PositionTracker } from './position.ts';
import { type RowMessages, type Stamp, stampOf } from './row-messages.ts';
import { readStatement } from './statements.ts';

/** Row changes that can not be had from the log: what happened, and what to do. */
export interface Loss {
  kind: 'refused' | 'start anew';
  sentence: string;
}

export interface AssemblerOptions {
  database: string;
  messages: RowMessages;
  tracker: PositionTracker;
  /** See Outbox. */
  outbox: {
    add(fill: (to: OutgoingMessage[]) => number, counted?: { kind: string; rows: number }): void;
    mark(action: () => void): void;
  };
  nowMs: () => number;
  onLoss: (loss: Loss) => void;
  onWarning: (sentence: string) => void;
}

/** Rows of undecided XA transactions in memory; what goes above is published undecided. */
const PREPARED_BYTES_MAX = 64 * 1024 * 1024;

interface Held {
  messages: OutgoingMessage[];
  bytes: number;
  /** Some were published undecided, for want of room. */
  isReleased: boolean;
}

const nothingHeld = (): Held => ({ messages: [], bytes: 0, isReleased: false });

/**
 * From events to messages. Rows go out before their transaction ends, so that a transaction of any
 * size needs no memory; the position moves only at its end. XA transactions alone wait for their
 * decision, which may come much later, or never.
 */
export class Assembler {
  readonly #options: AssemblerOptions;
  #stamp: Stamp = stampOf('', 0);
  #gtid: string | null = null;
  #isOpen = false;
  /** The rows of the XA transaction that is being read; null in any other. */
  #held: Held | null = null;
  readonly #prepared = new Map<string, Held>();
  #preparedBytes = 0;

  constructor(options: AssemblerOptions) {
    this.#options = options;
  }

  handle(event: CaptureEvent): void {
    switch (event.kind) {
      case 'rows':
        return this.#rows(event);
      case 'begin': {
        const { gtid, file, position } = event;
        const commitMs = event.commitMs ?? estimateCommitMs(this.#options.nowMs(), event.seconds);
        this.#stamp = stampOf(gtid ?? `${file}:${position}`, commitMs);
        this.#gtid = gtid;
        this.#isOpen = event.isOpen;
        this.#held = event.isXa ? nothingHeld() : null;
        return;
      }
      case 'end':
        return this.#end(this.#endAt(event));
      case 'prepare':
        return this.#prepare(event.xid, this.#endAt(event));
      case 'statement':
        return this.#statement(event);
      case 'rotate':
        // MariaDB and MySQL send one, made up, when a dump begins: it is the place we asked for.
        return this.#end({ gtid: null, file: event.file, position: event.position });
      case 'unreadable':
        return this.#options.onLoss({ kind: 'refused', sentence: event.sentence });
      case 'heartbeat':
    }
  }

  #endAt({ file, position }: { file: string; position: number }): TransactionEnd {
    return { gtid: this.#gtid, file, position };
  }

  #rows(event: Extract<CaptureEvent, { kind: 'rows' }>): void {
    const { messages, outbox } = this.#options;
    const counted = { kind: `${event.table}.${event.operation}`, rows: event.rows.length };
    const held = this.#held;
    if (held === null) {
      return outbox.add((to) => messages.append(event, this.#stamp, to), counted);
    }
    outbox.add(() => 0, counted);
    const bytes = messages.append(event, this.#stamp, held.messages);
    held.bytes += bytes;
    this.#preparedBytes += bytes;
    if (this.#preparedBytes > PREPARED_BYTES_MAX) {
      held.isReleased = true;
      this.#release(held, null);
    }
  }

  #end(end: TransactionEnd): void {
    const { outbox, tracker } = this.#options;
    // XA COMMIT ... ONE PHASE: decided as it ends.
    if (this.#held !== null) this.#release(this.#held, null);
    this.#held = null;
    this.#isOpen = false;
    outbox.mark(() => tracker.end(end));
  }

  #prepare(xid: string, end: TransactionEnd): void {
    const { outbox, tracker } = this.#options;
    this.#prepared.set(xid, this.#held ?? nothingHeld());
    this.#held = null;
    this.#isOpen = false;
    outbox.mark(() => tracker.prepare(xid, end));
  }

  #statement(event: Extract<CaptureEvent, { kind: 'statement' }>): void {
    const statement = readStatement(event.text, event.schema, this.#options.database);
    switch (statement.kind) {
      case 'begin':
        this.#isOpen = true;
        if (/^\s*XA\b/i.test(event.text)) this.#held = nothingHeld();
        return;
      case 'end':
        return this.#end(this.#endAt(event));
      case 'xa':
        return this.#decide(statement.xid, statement.isCommitted, this.#endAt(event));
      case 'rows-as-text':
        return this.#options.onLoss({
          kind: 'refused',
          sentence: `the binlog has rows of ${statement.table} as SQL text; set binlog_format=ROW, and let no session set another`,
        });
      case 'truncate':
        this.#options.onWarning(`${statement.table} was truncated; Iterable keeps what it has`);
        break;
      case 'ddl':
        this.#options.onWarning(
          `the definition of ${statement.table} was changed: ${event.text.slice(0, 200)}`,
        );
        break;
      case 'other':
    }
    // DDL is a transaction of its own, unless it stands in an open one (CREATE TABLE ... SELECT).
    if (!this.#isOpen && this.#held === null) this.#end(this.#endAt(event));
  }

  #decide(xid: string, isCommitted: boolean, end: TransactionEnd): void {
    const { outbox, tracker, onLoss } = this.#options;
    const held = this.#prepared.get(xid);
    if (isCommitted && held === undefined) {
      // Prepared before the place where this capture began: its rows were never seen.
      onLoss({
        kind: 'start anew',
        sentence: 'an XA transaction was committed that was prepared before the start',
      });
    } else if (isCommitted && held?.isReleased === true) {
      // Its users were looked at before the commit.
      onLoss({
        kind: 'start anew',
        sentence: 'an XA transaction too large to be held was committed',
      });
    }
    if (held !== undefined) {
      this.#prepared.delete(xid);
      if (isCommitted) this.#release(held, this.#stamp);
      else this.#preparedBytes -= held.bytes;
    }
    this.#isOpen = false;
    this.#held = null;
    outbox.mark(() => tracker.decide(xid, end));
  }

  /** Publishes held rows, with the commit's own time and position where it is known by now. */
  #release(held: Held, stamp: Stamp | null): void {
    const { messages, bytes } = held;
    held.messages = [];
    held.bytes = 0;
    this.#preparedBytes -= bytes;
    if (messages.length === 0) return;
    this.#options.outbox.add((to) => {
      for (const message of messages) {
        const isView = message.headers['schema'] === this.#stamp.pageViewHeaders['schema'];
        const headers =
          stamp === null
            ? message.headers
            : isView
              ? stamp.pageViewHeaders
              : stamp.userChangeHeaders;
        to.push({ ...message, headers, timestampMs: stamp?.commitMs ?? message.timestampMs });
      }
      return bytes;
    });
  }
}
