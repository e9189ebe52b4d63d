import type { Connection } from 'mysql2/promise';
import { connect } from '../../../database/connect.ts';
import type { FilePosition } from '../../../database/log-position.ts';
import type { Clock } from '../../../model/clock.ts';
import { nameOf, quoted } from '../../../model/data-model.ts';
import type { DatabaseSettings } from '../../../settings/types.ts';
import { CapturedIds, WORD_IDS, isAbove } from './captured-ids.ts';
import type { OurTable } from '../../../model/columns.ts';
import type { Id } from '../../port.ts';
import { readLogEnd, readServerFacts, rowsOf } from '../server.ts';

export const AUDIT_INTERVAL_MS = 20_000;

/** The first look only notes where the tables end: rows in the log must be visible by then. */
const FIRST_LOOK_MS = 1_000;
/** Rows looked at in one query. */
const PAGE_ROWS = 100_000;
/** Rows whose users are asked for in one query. */
const USERS_ROWS = 1_000;
const WAIT_MS = 50;

/** Rows that are in the table and not in the log. */
export interface Unlogged {
  table: OurTable;
  /** Ascending. */
  ids: readonly Id[];
  userIds: readonly Id[];
}

/** The stream that is audited. */
export interface AuditedStream {
  serverUuid: string;
  /** Whether everything before this position was noted. */
  hasPassed: (position: FilePosition) => boolean;
  onUnlogged: (found: Unlogged) => void;
  onError: (error: unknown) => void;
  clock: Clock;
  signal: AbortSignal;
}

/** What is known of one table. */
interface Look {
  table: OurTable;
  /** Its name and the name of its id, as SQL has them. */
  name: string;
  id: string;
  captured: CapturedIds;
  /** The highest ids at the last two looks. */
  maxima: Id[];
}

/**
 * Finds rows that were inserted past the binlog (sql_log_bin=0, a filter, a replica that does not
 * log what it applies). At intervals it compares the ids that are new in a table with those that
 * the log has shown, once the log was read past the moment of that look.
 *
 * An id counts as new for two looks, so that transactions that commit out of order are seen.
 * Lower ids, put in later by hand, and changes of rows are not seen: it is no proof, but a guard.
 */
export class Audit {
  readonly #db: DatabaseSettings;
  readonly #intervalMs: number;
  readonly #looks: readonly Look[];
  #position: string | null = null;

  constructor(db: DatabaseSettings, intervalMs: number) {
    this.#db = db;
    this.#intervalMs = intervalMs;
    const tables: OurTable[] = ['page_views', 'customers'];
    this.#looks = tables.map((table) => ({
      table,
      name: quoted(db.model.tables[table]),
      id: quoted(nameOf(db.model, table, 'id')),
      captured: new CapturedIds(),
      maxima: [],
    }));
  }

  /** A stream begins. What was noted counts only when it goes on where the last one ended. */
  begin(position: string): void {
    if (position !== this.#position) for (const look of this.#looks) forget(look);
    this.#position = null;
  }

  end(position: string): void {
    this.#position = position;
  }

  /** The log has this row, inserted or updated. */
  note(table: OurTable, id: Id | null): void {
    const look = table === 'page_views' ? this.#looks[0] : this.#looks[1];
    if (isId(id)) look?.captured.add(id);
  }

  /** Looks at intervals, until the signal. Never rejects: what fails now is done next time. */
  async run(stream: AuditedStream): Promise<void> {
    let waitMs = Math.min(FIRST_LOOK_MS, this.#intervalMs);
    while (await elapsed(waitMs, stream)) {
      waitMs = this.#intervalMs;
      try {
        await Promise.race([this.#lookOnce(stream), aborted(stream.signal)]);
      } catch (error) {
        if (!stream.signal.aborted) stream.onError(error);
      }
    }
  }

  async #lookOnce(stream: AuditedStream): Promise<void> {
    const connection = await connect(this.#db);
    // A server that gives no answer must not hold up the next stream.
    const end = (): void => connection.destroy();
    stream.signal.addEventListener('abort', end, { once: true });
    try {
      if (stream.signal.aborted) return;
      // Behind one address there may be several servers, with a log each.
      if ((await readServerFacts(connection)).serverUuid !== stream.serverUuid) return;
      for (const look of this.#looks) await this.#compare(connection, look, stream);
    } finally {
      stream.signal.removeEventListener('abort', end);
      end();
    }
  }

  async #compare(connection: Connection, look: Look, stream: AuditedStream): Promise<void> {
    const { table, name, id, captured, maxima } = look;
    const [row] = await rowsOf(connection, `SELECT MAX(${id}) AS top FROM ${name}`);
    const top = row?.['top'] ?? 0;
    const [from] = maxima;
    // Emptied, or keys that do not count up: begin again.
    if (!isId(top) || captured.isFull || (from !== undefined && isAbove(from, top))) {
      return forget(look);
    }
    let at = from ?? top;
    while (isAbove(top, at)) {
      const range = [at, top];
      const [page] = await rowsOf(
        connection,
        `SELECT MAX(part.id) AS last FROM (SELECT ${id} AS id FROM ${name} WHERE ${id} > ? AND ${id} <= ? ORDER BY ${id} LIMIT ${PAGE_ROWS}) AS part`,
        range,
      );
      const last = page?.['last'];
      if (!isId(last)) break;
      const ids = await unlogged(connection, look, [at, last], stream);
      if (stream.signal.aborted || captured.isFull) return;
      for (let i = 0; i < ids.length; i += USERS_ROWS) {
        const some = ids.slice(i, i + USERS_ROWS);
        stream.onUnlogged({
          table,
          ids: some,
          userIds: await this.#usersOf(connection, table, some),
        });
        for (const one of some) captured.add(one);
      }
      at = last;
    }
    look.maxima = [...maxima.slice(-1), top];
    captured.forgetTo(look.maxima[0] ?? top);
  }

  async #usersOf(
    connection: Connection,
    table: OurTable,
    ids: readonly Id[],
  ): Promise<readonly Id[]> {
    if (table === 'customers') return ids;
    const { tables, columns } = this.#db.model;
    const { id, user_id: userId } = columns.page_views;
    const sql = `SELECT DISTINCT ${quoted(userId)} AS userId FROM ${quoted(tables.page_views)} WHERE ${quoted(id)} IN (?)`;
    const rows = await rowsOf(connection, sql, [ids]);
    return rows.map((row) => row['userId']).filter((user): user is Id => user !== null);
  }
}

/** Ids of the range that the log had not shown when it was read past them. */
async function unlogged(
  connection: Connection,
  { name, id, captured }: Look,
  range: readonly [Id, Id],
  stream: AuditedStream,
): Promise<Id[]> {
  const words = await rowsOf(
    connection,
    `SELECT ${id} DIV ${WORD_IDS} AS word, BIT_OR(1 << (${id} % ${WORD_IDS})) AS bits
     FROM ${name} WHERE ${id} > ? AND ${id} <= ? GROUP BY ${id} DIV ${WORD_IDS}`,
    [...range],
  );
  const missing = (): Id[] =>
    words.flatMap((row) => captured.missing(row['word'] as Id, Number(row['bits'])));
  if (missing().length === 0) return [];
  // A row is in the log before it is visible, so all that was seen above is before this position.
  const end = await readLogEnd(connection);
  while (!stream.hasPassed(end)) if (!(await elapsed(WAIT_MS, stream))) return [];
  return missing();
}

function forget(look: Look): void {
  look.captured.clear();
  look.maxima = [];
}

function isId(value: unknown): value is Id {
  return typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value));
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Whether the time has passed without the signal. */
function elapsed(ms: number, { clock, signal }: AuditedStream): Promise<boolean> {
  return clock.sleep(ms, signal).then(
    () => true,
    () => false,
  );
}

/** For people: `101 to 105, 200`. */
export function rangesText(ids: readonly Id[]): string {
  const ranges: { first: Id; last: Id }[] = [];
  for (const id of ids) {
    const range = ranges.at(-1);
    if (range !== undefined && BigInt(range.last) + 1n === BigInt(id)) range.last = id;
    else ranges.push({ first: id, last: id });
  }
  const texts = ranges.map(({ first, last }) =>
    first === last ? `${first}` : `${first} to ${last}`,
  );
  return texts.length <= 5 ? texts.join(', ') : `${texts.slice(0, 5).join(', ')} and more`;
}
