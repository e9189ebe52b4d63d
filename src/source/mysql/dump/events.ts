import type { OurTable } from '../../../model/columns.ts';
import type { ColumnNames } from '../../../model/data-model.ts';
import type { Gtid } from '../gtid.ts';
import type { QueryStatus } from './query-status.ts';

/** What the binlog tells us, in our own words: `binlog.ts` makes these of zongji's events. */

/** One of our tables, as the binlog may name it, and what its columns are called. */
export interface NamedTable {
  schema: string;
  name: string;
  table: OurTable;
  columns: ColumnNames[OurTable];
}
export type RowOperation = 'insert' | 'update' | 'delete';

/** An integer id; above 2^53, and where the column holds text, as text. */
export type Id = number | string;

/**
 * The rows of one event, one at a time. They lie in the log's packet: all this is good only while
 * the event is handled.
 */
export interface ChangedRows {
  /** How many there were so far. */
  readonly count: number;
  /** Goes to the next one; false after the last. @throws CorruptEventError */
  next(): boolean;
  /** After the change; of a deleted row, what it was. */
  id(): Id | null;
  /** Whom the row is about, after the change; of customers, the id. */
  user(): Id | null;
  /** Of an update: whom it was about before. */
  userBefore(): Id | null;
  /** How many bytes `writeView` takes at most. */
  viewBytesMax(): number;
  /** Writes a page view's message as JSON in UTF-8 at `at`; returns where it ends. */
  writeView(target: Buffer, at: number): number;
}

/** Where a transaction ends in the log: resuming there repeats none of it. */
export interface TransactionEnd {
  /** null for an anonymous transaction. */
  gtid: Gtid | null;
  file: string;
  position: number;
  /** Where it stands for a run of transactions: the number in the GTID of the first. */
  first?: number | bigint | null;
}

/** In the log; the position is that of the next event. */
interface Place {
  file: string;
  position: number;
}

export type CaptureEvent =
  /**
   * A transaction begins. `commitMs` is null where the log says only the second; `isOpen` where
   * this event stands for the BEGIN too, `isXa` where for the XA START.
   */
  | (Place & {
      kind: 'begin';
      gtid: Gtid | null;
      commitMs: number | null;
      seconds: number;
      isOpen: boolean;
      isXa: boolean;
    })
  | {
      kind: 'rows';
      table: OurTable;
      operation: RowOperation;
      rows: ChangedRows;
    }
  /** The transaction's last event (a commit; rarely a rollback of a non-transactional mix). */
  | (Place & { kind: 'end' })
  /** XA PREPARE: the transaction's rows are all there, and whether they count is decided later. */
  | (Place & { kind: 'prepare'; xid: string })
  /** BEGIN, DDL, XA COMMIT, rows as SQL text. `schema` is its default database. */
  | (Place & { kind: 'statement'; schema: string; text: string; status: QueryStatus })
  /** Rows of ours may have changed with no row event for it: `because` says by what. */
  | { kind: 'unseen'; because: string }
  | (Place & { kind: 'rotate' })
  /** The server has nothing more to send now. */
  | { kind: 'heartbeat' }
  /** Row changes that can't be read: the sentence says what to set. */
  | { kind: 'unreadable'; sentence: string }
  /** The server's own word that changes are missing from its log. */
  | { kind: 'incident' };
