import type { Session } from './open.ts';

const LIMIT_MS = 10_000;

/** One of our tables, whose primary key is `id`. */
type Table = 'customers' | 'page_views';

/** Ids as `sqlInteger` makes them. */
type Ids = readonly (number | bigint)[];

/**
 * Which of these rows a transaction has locked that is not visible yet: changed, inserted or
 * deleted. MySQL 8.0.22 and later; SELECT is the privilege for it.
 *
 * A transaction keeps its row locks until its commit is visible, also while semi-synchronous
 * replication holds it after it is in the log. A locking read that skips them leaves such rows out;
 * what is left out and there, to a reader of committed or of uncommitted rows, is locked. Nobody
 * waits for this: it skips what others have locked, and lets go at once.
 */
export async function heldRows(session: Session, table: Table, ids: Ids): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const select = `SELECT id FROM ${table} FORCE INDEX (PRIMARY) WHERE id IN (:ids)`;
  const read = async (sql: string, of: Ids): Promise<Set<string>> => {
    const rows = await session.query(sql, { ids: of }, LIMIT_MS);
    return new Set(rows.map((row) => String(row['id'])));
  };
  const free = await read(`${select} FOR SHARE SKIP LOCKED`, ids);
  const others = ids.filter((id) => !free.has(String(id)));
  if (others.length === 0) return new Set();
  const committed = await read(select, others);
  // For the next statement alone.
  await session.query('SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED', {}, LIMIT_MS);
  const uncommitted = await read(select, others);
  return new Set([...committed, ...uncommitted]);
}
