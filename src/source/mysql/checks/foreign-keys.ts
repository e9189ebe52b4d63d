import type { Connection } from 'mysql2/promise';
import { OUR_TABLES } from '../../../model/columns.ts';
import { type DataModel, isSameColumn, quoted, readColumns } from '../../../model/data-model.ts';
import { type Check, check } from './check.ts';
import { rowsOf } from '../server.ts';
import { type Token, isSign, isWord, nameAt, tokenize } from '../statements/sql-tokens.ts';

interface Table {
  schema: string;
  name: string;
}

type Action = 'CASCADE' | 'SET NULL' | 'SET DEFAULT' | 'none';

export interface ForeignKey {
  columns: readonly string[];
  parent: Table;
  parentColumns: readonly string[];
  onDelete: Action;
  onUpdate: Action;
}

/** A table whose changes InnoDB carries on into ours, with no row event for it. */
export interface Parent extends Table {
  /** Whether its deleted rows do, and its changed ones. */
  onDelete: boolean;
  onUpdate: boolean;
}

export interface Cascades {
  parents: readonly Parent[];
  /** Parents whose own foreign keys the user may not see. */
  unseen: readonly Table[];
}

/** Whether two names of tables are one, which depends on lower_case_table_names. */
function isSameTable(a: Table, b: Table): boolean {
  const textOf = ({ schema, name }: Table): string => `${schema}.${name}`.toLowerCase();
  return textOf(a) === textOf(b);
}

/** The foreign keys in the answer to SHOW CREATE TABLE, which quotes each name. */
export function parseForeignKeys(createTable: string, schema: string): ForeignKey[] {
  const quoting = { ansiQuotes: true, noBackslashEscapes: false };
  const { tokens } = tokenize(createTable, quoting);
  const keys: ForeignKey[] = [];
  tokens.forEach((token, at) => {
    if (!isWord(token, 'FOREIGN') || !isWord(tokens[at + 1], 'KEY')) return;
    const columns = listAfter(tokens, at + 2);
    if (columns === null || !isWord(tokens[columns.after], 'REFERENCES')) return;
    const parent = nameAt(tokens, columns.after + 1);
    const parentColumns = parent === null ? null : listAfter(tokens, parent.after);
    if (parent === null || parentColumns === null) return;
    keys.push({
      columns: columns.names,
      parent: { schema: parent.table.schema ?? schema, name: parent.table.name },
      parentColumns: parentColumns.names,
      ...actionsAfter(tokens, parentColumns.after),
    });
  });
  return keys;
}

/** The names of a list in brackets, which begins here or after a name (of an index). */
function listAfter(
  tokens: readonly Token[],
  from: number,
): { names: string[]; after: number } | null {
  const open = isSign(tokens[from], '(') ? from : from + 1;
  if (!isSign(tokens[open], '(')) return null;
  const close = tokens.findIndex((token, at) => at > open && isSign(token, ')'));
  if (close < 0) return null;
  const names = tokens
    .slice(open + 1, close)
    .flatMap((token) => (token.kind === 'name' ? [token.text.toLowerCase()] : []));
  return { names, after: close + 1 };
}

function actionsAfter(
  tokens: readonly Token[],
  from: number,
): { onDelete: Action; onUpdate: Action } {
  const actions = { onDelete: 'none' as Action, onUpdate: 'none' as Action };
  for (let at = from; isWord(tokens[at], 'ON', 'MATCH');) {
    const [what, action, more] = tokens.slice(at + 1, at + 4);
    if (isWord(tokens[at], 'MATCH')) {
      at += 2;
      continue;
    }
    let found: Action = 'none';
    if (isWord(action, 'CASCADE')) found = 'CASCADE';
    else if (isWord(action, 'SET')) found = isWord(more, 'NULL') ? 'SET NULL' : 'SET DEFAULT';
    if (isWord(what, 'DELETE')) actions.onDelete = found;
    else actions.onUpdate = found;
    at += isWord(action, 'SET', 'NO') ? 4 : 3;
  }
  return actions;
}

/** A table of which it matters when rows vanish, or when one of these columns changes. */
interface Node extends Table {
  columns: Set<string>;
  onDelete: boolean;
  onUpdate: boolean;
}

/**
 * Which tables can change columns of ours that are read by a cascade, through others too. A deleted
 * customer's page views are none of it: the deletion itself says all.
 */
export async function findCascades(
  database: string,
  model: DataModel,
  keysOf: (table: Table) => Promise<readonly ForeignKey[] | null>,
): Promise<Cascades> {
  const ours = OUR_TABLES.map((table) => {
    const node: Node = {
      schema: database,
      name: model.tables[table],
      columns: new Set(readColumns(model, table)),
      onDelete: true,
      onUpdate: true,
    };
    return node;
  });
  const parents: Node[] = [];
  const unseen: Table[] = [];
  const queue = [...ours];
  for (let child = queue.shift(); child !== undefined; child = queue.shift()) {
    const keys = await keysOf(child);
    if (keys === null) unseen.push({ schema: child.schema, name: child.name });
    for (const key of keys ?? []) {
      const parent = parentBy(key, child);
      if (parent === null || isCustomerOfView(key, child, database, model)) continue;
      const known = parents.find((one) => isSameTable(one, parent));
      if (known === undefined) {
        parents.push(parent);
        queue.push(parent);
      } else if (grows(known, parent)) queue.push(known);
    }
  }
  return {
    parents: parents.map(({ schema, name, onDelete, onUpdate }) => ({
      schema,
      name,
      onDelete,
      onUpdate,
    })),
    unseen: unseen.filter((one, at) => unseen.findIndex((two) => isSameTable(one, two)) === at),
  };
}

/** What of the parent matters, given what matters of the child; null: nothing. */
function parentBy(key: ForeignKey, child: Node): Node | null {
  const isSeen = child.onUpdate && key.columns.some((column) => child.columns.has(column));
  const onDelete = key.onDelete === 'CASCADE' ? child.onDelete : key.onDelete !== 'none' && isSeen;
  const onUpdate = key.onUpdate !== 'none' && isSeen;
  if (!onDelete && !onUpdate) return null;
  return { ...key.parent, columns: new Set(onUpdate ? key.parentColumns : []), onDelete, onUpdate };
}

function isCustomerOfView(
  { columns, parent, parentColumns }: ForeignKey,
  child: Table,
  database: string,
  { tables, columns: names }: DataModel,
) {
  const isOnly = (found: readonly string[], name: string): boolean =>
    found.length === 1 && isSameColumn(found[0] ?? '', name);
  return (
    isSameTable(child, { schema: database, name: tables.page_views }) &&
    isSameTable(parent, { schema: database, name: tables.customers }) &&
    isOnly(columns, names.page_views.user_id) &&
    isOnly(parentColumns, names.customers.id)
  );
}

function grows(known: Node, more: Node): boolean {
  const before = [known.columns.size, known.onDelete, known.onUpdate].join();
  for (const column of more.columns) known.columns.add(column);
  known.onDelete ||= more.onDelete;
  known.onUpdate ||= more.onUpdate;
  return [known.columns.size, known.onDelete, known.onUpdate].join() !== before;
}

const DENIED = new Set(['ER_TABLEACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR']);
const MISSING = new Set(['ER_NO_SUCH_TABLE', 'ER_BAD_DB_ERROR', 'ER_UNKNOWN_TABLE']);

/**
 * Asks the server. SHOW CREATE TABLE needs SELECT alone, where MariaDB shows the constraints of
 * information_schema to nobody who may not also write.
 */
export function readCascades(
  connection: Connection,
  database: string,
  model: DataModel,
): Promise<Cascades> {
  return findCascades(database, model, async ({ schema, name }) => {
    try {
      const [row] = await rowsOf(connection, `SHOW CREATE TABLE ${quoted(schema)}.${quoted(name)}`);
      const text = row?.['Create Table'];
      // A view has none.
      return typeof text === 'string' ? parseForeignKeys(text, schema) : [];
    } catch (error) {
      const code = (error as { code?: string }).code ?? '';
      if (DENIED.has(code)) return null;
      if (MISSING.has(code)) return [];
      throw error;
    }
  });
}

/** What cascades into our tables, and what it costs. */
export function checkCascades({ parents, unseen }: Cascades, user: string): Check {
  const names = parents.map(({ schema, name }) => `${schema}.${name}`).join(', ');
  const grants = unseen.map(
    ({ schema, name }) => `GRANT SELECT ON ${quoted(schema)}.${quoted(name)} TO ${user}`,
  );
  return check('foreign keys', {
    ok: unseen.length === 0,
    detail:
      unseen.length > 0
        ? `the foreign keys of ${unseen.map(({ schema, name }) => `${schema}.${name}`).join(', ')}, which cascades into our tables, may not be read`
        : parents.length === 0
          ? 'none cascades into our tables unseen'
          : `${names} can cascade into our tables, of which the binlog has no rows: all eligible users are looked at after such a change, within seconds and at most every few`,
    fix: `run ${grants.join('; ')}`,
  });
}
