import type { Clock } from '../../../model/clock.ts';
import { estimateCommitMs } from '../dump/commit-time.ts';
import type { CaptureEvent, TransactionEnd } from '../dump/events.ts';
import { HeldRows } from './held-rows.ts';
import { OpenTransaction } from './open-transaction.ts';
import type { ChangeBuffer } from './change-buffer.ts';
import type { PositionTracker } from '../position.ts';
import { countedOf } from './batch-queue.ts';
import type { ChangeEncoder, OnRow } from '../../port.ts';
import { Stamp, ViewHeaders } from './stamp.ts';
import { type Watched, readStatement } from '../statements/statements.ts';
import { XaTransactions } from './xa-transactions.ts';

/** Row changes that cannot be had from the log: what happened, and what to do (see Gap). */
export interface Loss {
  sentence: string;
  isFatal: boolean;
}

export interface TransactionBufferOptions {
  /** As it is now: definitions change. */
  watched: () => Watched;
  /** Whose log it is. */
  server: string;
  encoder: ChangeEncoder;
  /** Told of every row that is inserted or updated. */
  onRow: OnRow;
  tracker: PositionTracker;
  changes: Pick<
    ChangeBuffer,
    'begin' | 'rows' | 'undecided' | 'takeBack' | 'decide' | 'add' | 'mark' | 'end'
  >;
  clock: Pick<Clock, 'epochMs'>;
  onLoss: (loss: Loss) => void;
  /** All eligible users are to be looked at again, beside what the log says. */
  onResync: (because: string) => void;
  onWarning: (sentence: string) => void;
}

type RowsEvent = Extract<CaptureEvent, { kind: 'rows' }>;
type BeginEvent = Extract<CaptureEvent, { kind: 'begin' }>;

/**
 * From events to messages. A log can hold rows that were rolled back (MariaDB writes them where
 * the transaction made a temporary table, or wrote to a table without transactions): rows wait for
 * the end of their transaction, encoded in the change buffer. Those of a large one go out before, so that
 * none needs much memory; the position moves only at the end. XA transactions wait for their
 * decision, which may come much later, or never.
 */
export class TransactionBuffer {
  readonly #options: TransactionBufferOptions;
  /** The beginning of the transaction that is being read. */
  #begun: BeginEvent | null = null;
  #commitMs = 0;
  /** Made of them when the first row comes: most transactions may be of other tables. */
  #stamp: Stamp | null = null;
  readonly #viewHeaders = new ViewHeaders();
  #isOpen = false;
  readonly #transaction: OpenTransaction;
  /** Of the XA transaction that is being read; null: it is none. */
  #held: HeldRows | null = null;
  readonly #xa: XaTransactions;
  /** What was said once, and is not said again. */
  readonly #said = new Set<string>();

  constructor(options: TransactionBufferOptions) {
    this.#options = options;
    this.#transaction = new OpenTransaction(options.changes);
    this.#xa = new XaTransactions(options);
  }

  handle(event: CaptureEvent): void {
    switch (event.kind) {
      case 'rows':
        return this.#rows(event);
      case 'begin':
        return this.#begin(event);
      case 'end':
        return this.#end(this.#endAt(event));
      case 'prepare':
        return this.#prepare(event.xid, this.#endAt(event));
      case 'statement':
        return this.#statement(event);
      case 'rotate':
        // MariaDB and MySQL send one, made up, when a dump begins: it is the position we asked for.
        return this.#end({ gtid: null, file: event.file, position: event.position });
      case 'unseen':
        return this.#unseen(event.because);
      case 'unreadable':
        return this.#options.onLoss({ isFatal: true, sentence: event.sentence });
      case 'incident':
        return this.#options.onLoss({
          isFatal: false,
          sentence: 'the server says that its binlog lacks changes (an incident event)',
        });
      case 'heartbeat':
    }
  }

  #endAt({ file, position }: { file: string; position: number }): TransactionEnd {
    return { gtid: this.#begun?.gtid ?? null, file, position };
  }

  #begin(event: BeginEvent): void {
    // However the one before ended, its rows are not lost.
    this.#release();
    this.#close();
    this.#begun = event;
    this.#commitMs =
      event.commitMs ?? estimateCommitMs(this.#options.clock.epochMs(), event.seconds);
    this.#stamp = null;
    this.#isOpen = event.isOpen;
    if (event.isXa) this.#held = new HeldRows();
  }

  #stampNow(): Stamp {
    const begun = this.#begun ?? { gtid: null, file: '', position: 0 };
    return (this.#stamp ??= new Stamp(
      begun,
      this.#options.server,
      this.#commitMs,
      this.#viewHeaders,
    ));
  }

  #rows(event: RowsEvent): void {
    if (this.#held !== null) return this.#xa.hold(event, this.#stampNow(), this.#held);
    this.#transaction.rows((to) => {
      const { encoder, onRow } = this.#options;
      encoder.rows(event, this.#stampNow(), to, onRow);
      return countedOf(event);
    });
  }

  #end(end: TransactionEnd): void {
    this.#release();
    this.#close();
    this.#options.changes.end(end);
  }

  /** What is held of the transaction that is being read counts; before the mark of its position. */
  #release(): void {
    this.#transaction.end();
    if (this.#held !== null) this.#xa.commit(this.#held, null);
  }

  #close(): void {
    this.#held = null;
    this.#isOpen = false;
  }

  /** After the rows that do not count were dropped; `isDropped`: whether all of them could be. */
  #rolledBack(isDropped: boolean): void {
    if (isDropped && !(this.#held ?? this.#transaction).isReleased) return;
    this.#options.onWarning(
      'a transaction was rolled back, of which rows are in the topics already; page views may be among them that the table does not have',
    );
  }

  #prepare(xid: string, end: TransactionEnd): void {
    const { changes, tracker } = this.#options;
    this.#xa.prepare(xid, this.#held);
    this.#close();
    changes.mark(() => tracker.prepare(xid, end));
  }

  #statement(event: Extract<CaptureEvent, { kind: 'statement' }>): void {
    // It comes with every transaction.
    if (event.text === 'BEGIN') {
      this.#isOpen = true;
      return;
    }
    const statement = readStatement(
      event.text,
      event.schema,
      this.#options.watched(),
      event.status,
    );
    switch (statement.kind) {
      case 'begin':
        this.#isOpen = true;
        if (/^\s*XA\b/i.test(event.text)) this.#held ??= new HeldRows();
        return;
      case 'end':
        if (!statement.isCommitted) {
          this.#held?.take();
          this.#transaction.rollBack();
          this.#rolledBack(true);
        }
        return this.#end(this.#endAt(event));
      case 'savepoint':
        return (this.#held ?? this.#transaction).savepoint(statement.name);
      case 'rollback-to':
        return this.#rolledBack((this.#held ?? this.#transaction).rollBackTo(statement.name));
      case 'xa':
        return this.#decide(statement.xid, statement.isCommitted, this.#endAt(event));
      case 'rows-as-text':
        return this.#options.onLoss({
          isFatal: true,
          sentence: `the binlog has rows of ${statement.table} as SQL text; set binlog_format=ROW, and let no session set another`,
        });
      case 'truncate':
        this.#options.onWarning(`${statement.table} was truncated; Iterable keeps what it has`);
        this.#options.onResync(`${statement.table} was truncated`);
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
    if (!this.#isOpen && this.#held === null) this.#end(this.#endAt(event));
  }

  #definition({ table, mayChangeRows }: { table: string; mayChangeRows: boolean }, text: string) {
    const sentence = `the definition of ${table} was changed: ${text.slice(0, 200)}`;
    if (!mayChangeRows) return this.#options.onWarning(sentence);
    this.#options.onWarning(`${sentence}; all eligible users are looked at again`);
    this.#options.onResync(`the definition of ${table} was changed`);
  }

  /** Of an XA transaction it is seen when it commits: what is looked at before is the old. */
  #unseen(because: string): void {
    if (!this.#said.has(because)) {
      this.#said.add(because);
      this.#options.onWarning(
        `${because}: the binlog does not tell which rows of ours, so that all eligible users are looked at again, now and after each such change`,
      );
    }
    if (this.#held !== null) this.#held.unseen = because;
    else this.#options.onResync(because);
  }

  #decide(xid: string, isCommitted: boolean, end: TransactionEnd): void {
    const { changes, tracker } = this.#options;
    this.#xa.decide(xid, isCommitted, this.#stampNow());
    this.#close();
    changes.mark(() => tracker.decide(xid, end));
  }
}
