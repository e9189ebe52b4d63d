import type { OurTable } from '../../../model/columns.ts';
import type { ColumnNames } from '../../../model/data-model.ts';
import type { Gtid } from '../gtid.ts';
import type { RowsChange } from '../../port.ts';
import type { QueryStatus } from './query-status.ts';

/** What the binlog tells us, in our own words: `binlog.ts` makes these of zongji's events. */

/** One of our tables, as the binlog may name it, and what its columns are called. */
export interface NamedTable {
  schema: string;
  name: string;
  table: OurTable;
  columns: ColumnNames[OurTable];
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
interface InLog {
  file: string;
  position: number;
}

export type CaptureEvent =
  /**
   * A transaction begins. `commitMs` is null where the log says only the second; `isOpen` where
   * this event stands for the BEGIN too, `isXa` where for the XA START.
   */
  | (InLog & {
      kind: 'begin';
      gtid: Gtid | null;
      commitMs: number | null;
      seconds: number;
      isOpen: boolean;
      isXa: boolean;
    })
  | ({ kind: 'rows' } & RowsChange)
  /** The transaction's last event (a commit; rarely a rollback of a non-transactional mix). */
  | (InLog & { kind: 'end' })
  /** XA PREPARE: the transaction's rows are all there, and whether they count is decided later. */
  | (InLog & { kind: 'prepare'; xid: string })
  /** BEGIN, DDL, XA COMMIT, rows as SQL text. `schema` is its default database. */
  | (InLog & { kind: 'statement'; schema: string; text: string; status: QueryStatus })
  /** Rows of ours may have changed with no row event for it: `because` says by what. */
  | { kind: 'unseen'; because: string }
  | (InLog & { kind: 'rotate' })
  /** The server has nothing more to send now. */
  | { kind: 'heartbeat' }
  /** Row changes that can't be read: the sentence says what to set. */
  | { kind: 'unreadable'; sentence: string }
  /** The server's own word that changes are missing from its log. */
  | { kind: 'incident' };
