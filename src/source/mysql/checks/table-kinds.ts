import type { Connection } from 'mysql2/promise';
import { OUR_TABLES, type OurTable } from '../../../model/columns.ts';
import { quoted, shownName } from '../../../model/data-model.ts';
import { tableSettings } from '../../../model/found.ts';
import type { DatabaseSettings } from '../../../settings/types.ts';
import { type Check, check, missingText, unchecked } from './check.ts';
import { rowsOf } from '../server.ts';
import { isWord, nameAt, tokenize } from '../statements/sql-tokens.ts';

/** Tables with these rows of their own, whose changes are all in the server's binlog. */
const ENGINES = new Set('INNODB MYISAM ARIA ROCKSDB TOKUDB ARCHIVE CSV MEMORY'.split(' '));
const TABLE_TYPES = new Set(['BASE TABLE', 'SYSTEM VERSIONED']);

export interface TableKind {
  table: OurTable;
  /** What it is called. */
  name: string;
  /** As information_schema.TABLES has them. */
  type: string;
  engine: string | null;
  /** Of a view, where it may be read. */
  definition: string | null;
}

/** What is wrong with a table whose changes the binlog does not have; null: nothing. */
export function unloggedKind(
  { table, name, type, engine, definition }: TableKind,
  database: string,
): { detail: string; fix: string } | null {
  if (type === 'VIEW' || type === 'SYSTEM VIEW') {
    const base = definition === null ? null : plainBase(definition, database);
    const of = base === null ? '' : ` of ${base.schema}.${base.name}`;
    return {
      detail: `${name} is a view${of}, and the binlog has rows of tables alone`,
      fix: adviceOn(table, name, base, database),
    };
  }
  if (!TABLE_TYPES.has(type)) {
    return {
      detail: `${name} is no table (${type.toLowerCase()})`,
      fix: `make ${name} a table as sql/database_setup.sql has it`,
    };
  }
  // A table that cannot be opened has none.
  if (engine === null || ENGINES.has(engine.toUpperCase())) return null;
  return {
    detail: `${name} has the engine ${engine}, whose changes are not all in the binlog`,
    fix: `run ALTER TABLE ${shownName(name, table)} ENGINE=InnoDB, or set DB_HOST to the server that holds its rows`,
  };
}

interface Base {
  schema: string;
  name: string;
}

function adviceOn(ours: OurTable, name: string, base: Base | null, database: string): string {
  if (base === null) return `make ${name} a table as sql/database_setup.sql has it`;
  if (base.schema !== database && base.name === name) return `set DB_NAME=${base.schema}`;
  const table = `${quoted(base.schema)}.${quoted(base.name)}`;
  const view = `${quoted(database)}.${quoted(name)}`;
  const byName = base.schema === database ? `set ${tableSettings([ours])}=${base.name}, or ` : '';
  return `${byName}make it the table itself (DROP VIEW ${shownName(name, ours)}, then RENAME TABLE ${table} TO ${view}, and CREATE VIEW ${table} AS SELECT * FROM ${view} for whoever uses the other name)`;
}

/** The one table of a view that has it whole: `select … from a.b`, and nothing after it. */
function plainBase(definition: string, database: string): Base | null {
  const { tokens } = tokenize(definition, { ansiQuotes: true, noBackslashEscapes: false });
  const from = tokens.findIndex((token) => isWord(token, 'FROM'));
  const found = from < 0 ? null : nameAt(tokens, from + 1);
  if (found === null) return null;
  const alias = tokens[found.after]?.kind === 'name' ? 1 : 0;
  if (found.after + alias < tokens.length) return null;
  return { schema: found.table.schema ?? database, name: found.table.name };
}

const same = (a: unknown, b: string): boolean => String(a).toLowerCase() === b.toLowerCase();

async function readKinds(
  connection: Connection,
  { name: database, model }: DatabaseSettings,
): Promise<TableKind[]> {
  const names = Object.values(model.tables);
  const rows = await rowsOf(
    connection,
    `SELECT TABLE_NAME AS name, TABLE_TYPE AS type, ENGINE AS engine FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = ? AND (TABLE_NAME IN (?) OR LOWER(TABLE_NAME) IN (?))`,
    [database, names, names.map((name) => name.toLowerCase())],
  );
  const textOf = (value: unknown): string | null =>
    typeof value === 'string' && value !== '' ? value : null;
  const kinds: TableKind[] = [];
  for (const table of OUR_TABLES) {
    const wanted = model.tables[table];
    // Where names are case-sensitive, others may be there beside ours.
    const row =
      rows.find((one) => one['name'] === wanted) ?? rows.find((one) => same(one['name'], wanted));
    if (row === undefined) continue;
    const name = String(row['name']);
    const type = String(row['type']).toUpperCase();
    const definition = type === 'VIEW' ? await viewDefinition(connection, database, name) : null;
    kinds.push({ table, name, type, engine: textOf(row['engine']), definition });
  }
  return kinds;
}

/**
 * The SELECT of a view; null where it may not be read. Not from information_schema.VIEWS: MariaDB
 * 10.11 was seen to crash in its temporary table.
 */
async function viewDefinition(
  connection: Connection,
  schema: string,
  name: string,
): Promise<string | null> {
  try {
    const [row] = await rowsOf(connection, `SHOW CREATE VIEW ${quoted(schema)}.${quoted(name)}`);
    const text = String(row?.['Create View'] ?? '');
    return /\bAS\s+(select\b[^]*)$/i.exec(text)?.[1] ?? null;
  } catch {
    // Advice is worth no error: without the grant SHOW VIEW it is less exact.
    return null;
  }
}

/** Whether each of our tables, where it is there, is one whose changes are in the binlog. */
export async function checkKinds(connection: Connection, db: DatabaseSettings): Promise<Check> {
  const kinds = await readKinds(connection, db);
  const bad = kinds.flatMap((kind) => unloggedKind(kind, db.name) ?? []);
  const missing = OUR_TABLES.filter((ours) => !kinds.some(({ table }) => table === ours)).map(
    (ours) => db.model.tables[ours],
  );
  if (bad.length === 0 && missing.length > 0) return unchecked('table kinds', missingText(missing));
  return check('table kinds', {
    ok: bad.length === 0,
    detail:
      bad.length === 0
        ? 'tables whose changes are in the binlog'
        : bad.map(({ detail }) => detail).join('; '),
    fix: bad.map(({ fix }) => fix).join('; '),
  });
}
