import type { SavedPosition, SourcePosition } from '../port.ts';
import type { TransactionEnd } from './dump/events.ts';
import { MariadbGtids, MysqlGtids } from './executed-gtids.ts';

export type Flavour = 'mysql' | 'mariadb';

/** Where to read on: by GTID, or by file and position; never both. */
export type LogPosition = { gtidSet: string } | { file: string; position: number };

/** What a checkpoint holds of it: with the server that it belongs to. */
export type ServerPosition = LogPosition & {
  flavour: Flavour;
  /** server_uuid, MariaDB's server_uid, or its server_id. */
  serverUuid: string;
};

/** For people: `uuid:1-5`, or `binlog.000002:157`. */
export function positionText(position: LogPosition): string {
  if (!('gtidSet' in position)) return `${position.file}:${position.position}`;
  return position.gtidSet === '' ? 'the empty GTID set' : position.gtidSet;
}

/** Where to read on in the log of this server. */
export function sourcePosition(
  { flavour, serverUuid }: { flavour: Flavour; serverUuid: string },
  position: LogPosition,
): SourcePosition {
  return { saved: { flavour, serverUuid, ...position }, label: positionText(position) };
}

/** Reads what `sourcePosition` made; null where it is something else. */
export function parsePosition(saved: SavedPosition): ServerPosition | null {
  const { flavour, serverUuid, gtidSet, file, position } = saved;
  if (flavour !== 'mysql' && flavour !== 'mariadb') return null;
  if (typeof serverUuid !== 'string') return null;
  if (typeof gtidSet === 'string') return { flavour, serverUuid, gtidSet };
  if (typeof file !== 'string' || typeof position !== 'number') return null;
  return { flavour, serverUuid, file, position };
}

interface Watermark {
  end(transaction: TransactionEnd): void;
  current(): LogPosition;
}

function watermark(flavour: Flavour, start: LogPosition): Watermark {
  if (!('gtidSet' in start)) {
    let { file, position } = start;
    return {
      end: (transaction) => {
        ({ file, position } = transaction);
      },
      current: () => ({ file, position }),
    };
  }
  const { gtidSet } = start;
  const executed = flavour === 'mysql' ? new MysqlGtids(gtidSet) : new MariadbGtids(gtidSet);
  return {
    end: ({ gtid, first }) => {
      if (gtid !== null) executed.add(gtid, first ?? gtid.number);
    },
    current: () => ({ gtidSet: executed.toString() }),
  };
}

/**
 * How far everything is done. XA transactions that are prepared and not yet decided are not done:
 * a MySQL GTID set leaves them out (the server sends just them again), and every other kind of
 * position stays before the oldest of them.
 */
export class PositionTracker {
  readonly #watermark: Watermark;
  readonly #canLeaveOut: boolean;
  /** By xid, in the order of the log. */
  readonly #prepared = new Map<string, { end: TransactionEnd; before: LogPosition | null }>();

  constructor(flavour: Flavour, start: LogPosition) {
    this.#watermark = watermark(flavour, start);
    this.#canLeaveOut = flavour === 'mysql' && 'gtidSet' in start;
  }

  /** A transaction (or a run of them, or a file) ends here, and all of it is done. */
  end(end: TransactionEnd): void {
    this.#watermark.end(end);
  }

  /** A prepared XA transaction ends here; it is done when it is decided. */
  prepare(xid: string, end: TransactionEnd): void {
    this.#prepared.set(xid, { end, before: this.#canLeaveOut ? null : this.#watermark.current() });
    if (!this.#canLeaveOut) this.#watermark.end(end);
  }

  /** The XA transaction is committed or rolled back, by the transaction that ends here. */
  decide(xid: string, end: TransactionEnd): void {
    const prepared = this.#prepared.get(xid);
    this.#prepared.delete(xid);
    if (prepared !== undefined && this.#canLeaveOut) this.#watermark.end(prepared.end);
    this.#watermark.end(end);
  }

  /** Reading on from here skips nothing that is not done. */
  current(): LogPosition {
    for (const { before } of this.#prepared.values()) {
      if (before !== null) return before;
    }
    return this.#watermark.current();
  }
}
