import type { OutgoingMessage } from '../topics/port.ts';
import { estimateCommitMs } from './commit-time.ts';
import type { CaptureEvent, TransactionEnd } from './events.ts';
import { HeldRows } from './held-rows.ts';
import type { PositionTracker } from './position.ts';
import { type RowMessages, type Stamp, stampOf } from './row-messages.ts';
import { type Watched, readStatement } from './statements.ts';

/** Row changes that can not be had from the log: what happened, and what to do. */
export interface Loss {
  kind: 'refused' | 'start anew';
  sentence: string;
}

export interface AssemblerOptions {
  /** As it is now: definitions change. */
  watched: () => Watched;
  /** Whose log it is. */
  server: string;
  messages: RowMessages;
  tracker: PositionTracker;
  /** See Outbox. */
  outbox: {
    add(fill: (to: OutgoingMessage[]) => number, counted?: { kind: string; rows: number }): void;
    mark(action: () => void): void;
  };
  nowMs: () => number;
  onLoss: (loss: Loss) => void;
  /** All eligible users are to be looked at again, beside what the log says. */
  onEveryone: (because: string) => void;
  onWarning: (sentence: string) => void;
}

/** Rows of undecided XA transactions in memory; what goes above is published undecided. */
const PREPARED_BYTES_MAX = 64 * 1024 * 1024;

/** Rows of a transaction in memory until its end; from there on they go out at once. */
const HELD_BYTES_MAX = 1024 * 1024;

/**
 * From events to messages. A log can hold rows that were rolled back (MariaDB writes them where
 * the transaction made a temporary table, or wrote to a table without transactions): rows wait for
 * the end of their transaction. Those of a large one go out before, so that none needs much
 * memory; the position moves only at the end. XA transactions wait for their decision, which may
 * come much later, or never.
 */
export class Assembler {
  readonly #options: AssemblerOptions;
  #stamp: Stamp = stampOf({ gtid: null, file: '', position: 0 }, '', 0);
  #gtid: string | null = null;
  #isOpen = false;
  #isXa = false;
  /** Of the transaction that is being read. */
  #held = new HeldRows();
  readonly #prepared = new Map<string, HeldRows>();
  /** What was said once, and is not said again. */
  readonly #said = new Set<string>();

  constructor(options: AssemblerOptions) {
    this.#options = options;
  }

  handle(event: CaptureEvent): void {
    switch (event.kind) {
      case 'rows':
        return this.#rows(event);
      case 'begin': {
        const { gtid, file, position } = event;
        // However the one before ended, its rows are not lost.
        this.#release(this.#held, null);
        this.#lookFor(this.#held);
        const commitMs = event.commitMs ?? estimateCommitMs(this.#options.nowMs(), event.seconds);
        this.#stamp = stampOf({ gtid, file, position }, this.#options.server, commitMs);
        this.#gtid = gtid;
        this.#isOpen = event.isOpen;
        this.#isXa = event.isXa;
        this.#held = new HeldRows();
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
      case 'unseen':
        return this.#unseen(event.because);
      case 'unreadable':
        return this.#options.onLoss({ kind: 'refused', sentence: event.sentence });
      case 'incident':
        return this.#options.onLoss({
          kind: 'start anew',
          sentence: 'the server says that its binlog lacks changes (an incident event)',
        });
      case 'heartbeat':
    }
  }

  #endAt({ file, position }: { file: string; position: number }): TransactionEnd {
    return { gtid: this.#gtid, file, position };
  }

  #rows(event: Extract<CaptureEvent, { kind: 'rows' }>): void {
    const { messages, outbox } = this.#options;
    const held = this.#held;
    const counted = { kind: `${event.table}.${event.operation}`, rows: 0 };
    const append = (to: OutgoingMessage[]): number => {
      const bytes = messages.append(event, this.#stamp, to);
      counted.rows = event.rows.count;
      return bytes;
    };
    if (!this.#isXa && held.isReleased) return outbox.add(append, counted);
    const part = { messages: [] as OutgoingMessage[], bytes: 0, counted };
    part.bytes = append(part.messages);
    held.add(part);
    const isTooMuch = this.#isXa
      ? this.#undecidedBytes() > PREPARED_BYTES_MAX
      : held.bytes > HELD_BYTES_MAX;
    if (!isTooMuch) return;
    held.isReleased = true;
    this.#release(held, null);
  }

  #undecidedBytes(): number {
    let bytes = this.#held.bytes;
    for (const held of this.#prepared.values()) bytes += held.bytes;
    return bytes;
  }

  #end(end: TransactionEnd): void {
    const { outbox, tracker } = this.#options;
    this.#release(this.#held, null);
    // Before the mark, so that it is saved with the place.
    this.#lookFor(this.#held);
    this.#close();
    outbox.mark(() => tracker.end(end));
  }

  #close(): void {
    this.#held = new HeldRows();
    this.#isXa = false;
    this.#isOpen = false;
  }

  /** After the rows that do not count were dropped; `isDropped`: whether all of them could be. */
  #rolledBack(isDropped: boolean): void {
    if (isDropped && !this.#held.isReleased) return;
    this.#options.onWarning(
      'a transaction was rolled back, of which rows are in the topics already; page views may be among them that the table does not have',
    );
  }

  #prepare(xid: string, end: TransactionEnd): void {
    const { outbox, tracker } = this.#options;
    this.#prepared.set(xid, this.#held);
    this.#close();
    outbox.mark(() => tracker.prepare(xid, end));
  }

  #statement(event: Extract<CaptureEvent, { kind: 'statement' }>): void {
    const statement = readStatement(
      event.text,
      event.schema,
      this.#options.watched(),
      event.status,
    );
    switch (statement.kind) {
      case 'begin':
        this.#isOpen = true;
        if (/^\s*XA\b/i.test(event.text)) this.#isXa = true;
        return;
      case 'end':
        if (!statement.isCommitted) {
          this.#held.take();
          this.#rolledBack(true);
        }
        return this.#end(this.#endAt(event));
      case 'savepoint':
        return this.#held.savepoint(statement.name);
      case 'rollback-to':
        return this.#rolledBack(this.#held.rollBackTo(statement.name));
      case 'xa':
        return this.#decide(statement.xid, statement.isCommitted, this.#endAt(event));
      case 'rows-as-text':
        return this.#options.onLoss({
          kind: 'refused',
          sentence: `the binlog has rows of ${statement.table} as SQL text; set binlog_format=ROW, and let no session set another`,
        });
      case 'truncate':
        this.#options.onWarning(`${statement.table} was truncated; Iterable keeps what it has`);
        this.#options.onEveryone(`${statement.table} was truncated`);
        break;
      case 'ddl':
        this.#definition(statement, event.text);
        break;
      case 'doubt':
        this.#unseen('the binlog has a change as SQL text, which may concern our tables');
        break;
      case 'other':
    }
    // DDL is a transaction of its own, unless it stands in an open one (CREATE TABLE ... SELECT).
    if (!this.#isOpen && !this.#isXa) this.#end(this.#endAt(event));
  }

  #definition({ table, mayChangeRows }: { table: string; mayChangeRows: boolean }, text: string) {
    const sentence = `the definition of ${table} was changed: ${text.slice(0, 200)}`;
    if (!mayChangeRows) return this.#options.onWarning(sentence);
    this.#options.onWarning(`${sentence}; all eligible users are looked at again`);
    this.#options.onEveryone(`the definition of ${table} was changed`);
  }

  /** Of an XA transaction it is seen when it commits: what is looked at before is the old. */
  #unseen(because: string): void {
    if (!this.#said.has(because)) {
      this.#said.add(because);
      this.#options.onWarning(
        `${because}: the binlog does not tell which rows of ours, so that all eligible users are looked at again, now and after each such change`,
      );
    }
    if (this.#isXa) this.#held.unseen = because;
    else this.#options.onEveryone(because);
  }

  #lookFor({ unseen }: HeldRows): void {
    if (unseen !== null) this.#options.onEveryone(unseen);
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
      if (isCommitted) this.#lookFor(held);
    }
    this.#close();
    outbox.mark(() => tracker.decide(xid, end));
  }

  /** Publishes held rows, with the commit's own time and position where it is known by now. */
  #release(held: HeldRows, stamp: Stamp | null): void {
    for (const { messages, bytes, counted } of held.take()) {
      this.#options.outbox.add((to) => {
        for (const message of messages) to.push(stamp === null ? message : stamped(message, stamp));
        return bytes;
      }, counted);
    }
  }
}

function stamped(message: OutgoingMessage, stamp: Stamp): OutgoingMessage {
  const isView = message.headers['schema'] === stamp.pageViewHeaders['schema'];
  const headers = isView ? stamp.pageViewHeaders : stamp.userChangeHeaders;
  // A view's id stays what it is.
  return { ...message, headers: { ...message.headers, ...headers }, timestampMs: stamp.commitMs };
}
