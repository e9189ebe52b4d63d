import type { OurTable } from '../model/columns.ts';
import { nameOf, quoted } from '../model/data-model.ts';
import type { Session } from './open.ts';

const LIMIT_MS = 10_000;

/** Of each of our tables, a column that no index for finding `id` has. */
const BESIDE = { customers: 'plan_type', page_views: 'event_time' } as const;

/** Ids as `sqlInteger` makes them. */
type Ids = readonly (number | bigint)[];

/**
 * Which of these rows a transaction has locked that is not visible yet: changed, inserted or
 * deleted. MySQL 8.0.22 and later; SELECT is the privilege for it.
 *
 * A transaction keeps its row locks until its commit is visible, also while semi-synchronous
 * replication holds it after it is in the log. A locking read that skips them leaves such rows out;
 * what is left out and there, to a reader of committed or of uncommitted rows, is locked. Nobody
 * waits for this: it skips what others have locked, and lets go at once. The column beside the id has
 * the row itself looked up, whatever index it is found by: an index alone is not locked by a change
 * of other columns.
 */
export async function heldRows(session: Session, table: OurTable, ids: Ids): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const index = await indexOfId(session, table);
  const { model } = session;
  const force = index === '' ? '' : `FORCE INDEX (${quoted(index)})`;
  const id = quoted(nameOf(model, table, 'id'));
  const beside = quoted(nameOf(model, table, BESIDE[table]));
  const select = `SELECT ${id} AS id, ${beside} FROM ${quoted(model.tables[table])} ${force} WHERE ${id} IN (:ids)`;
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

/**
 * The index that finds rows by their id, the primary key where it can; empty where there is none.
 * Asked once a connection: a statement that names one that is gone ends the connection.
 */
async function indexOfId({ facts, query, model }: Session, table: OurTable): Promise<string> {
  const fact = `index of ${table}.id`;
  const known = facts.get(fact);
  if (known !== undefined) return known;
  const name = model.tables[table];
  const names = { name, lower: name.toLowerCase(), id: nameOf(model, table, 'id').toLowerCase() };
  const rows = await query(INDEX_OF_ID, names, LIMIT_MS);
  const index = String(rows[0]?.['name'] ?? '');
  facts.set(fact, index);
  return index;
}

const INDEX_OF_ID = `
  SELECT INDEX_NAME AS name FROM information_schema.STATISTICS
  WHERE TABLE_SCHEMA = DATABASE() AND SEQ_IN_INDEX = 1
    AND (TABLE_NAME = :name OR (@@GLOBAL.lower_case_table_names <> 0 AND LOWER(TABLE_NAME) = :lower))
    AND LOWER(COLUMN_NAME) = :id AND INDEX_TYPE = 'BTREE' AND IS_VISIBLE = 'YES'
  ORDER BY INDEX_NAME = 'PRIMARY' DESC, NON_UNIQUE, INDEX_NAME LIMIT 1`;
