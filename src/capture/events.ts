import type { QueryStatus } from './query-status.ts';

/** What the binlog tells us, in our own words: `binlog.ts` makes these of zongji's events. */

export type CapturedTable = 'customers' | 'page_views';
export type RowOperation = 'insert' | 'update' | 'delete';

/** A row by column name, as the table spells it. */
export type Row = Readonly<Record<string, unknown>>;

/** The table's own spelling of the columns that matter; null where page_views lacks the column. */
export interface ColumnNames {
  id: string;
  /** Empty for customers, whose id is the user's. */
  userId: string;
  page: string | null;
  device: string | null;
  browser: string | null;
  location: string | null;
  eventTime: string | null;
  /** Whether event_time is wall time (DATETIME) and no instant (TIMESTAMP). */
  isWallTime: boolean;
}

/** Where a transaction ends in the log: resuming there repeats none of it. */
export interface TransactionEnd {
  /** null for an anonymous transaction. */
  gtid: string | null;
  file: string;
  position: number;
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
      gtid: string | null;
      commitMs: number | null;
      seconds: number;
      isOpen: boolean;
      isXa: boolean;
    })
  | {
      kind: 'rows';
      table: CapturedTable;
      operation: RowOperation;
      columns: ColumnNames;
      rows: readonly unknown[];
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
