import type { Connection } from 'mysql2/promise';
import { readOtherCase, readTables } from '../../../database/columns.ts';
import { readGrant } from '../../../database/grants.ts';
import { OUR_TABLES, type OurTable } from '../../../model/columns.ts';
import { indexStatement, isSameColumn, quoted, shownName } from '../../../model/data-model.ts';
import { lackingColumns, lackingTables, tableSettings } from '../../../model/found.ts';
import type { DatabaseSettings } from '../../../settings/types.ts';
import { type Check, type Verdict, check, missingText, unchecked } from './check.ts';
import { unreadableColumns } from '../decode/column-types.ts';
import { type ServerFacts, rowsOf } from '../server.ts';

/** Whether our tables and their columns are there, can be read, and have the rule's index. */
export async function checkTables(
  connection: Connection,
  source: ServerFacts,
  db: DatabaseSettings,
): Promise<Check[]> {
  const { model } = db;
  const ask = (sql: string): ReturnType<typeof rowsOf> => rowsOf(connection, sql);
  const { found, types } = await readTables(ask, model);
  const grant = readGrant(db);
  const noTables = lackingTables(model, found, db.name, grant);
  const noColumns = lackingColumns(model, found, grant);
  const unreadable = OUR_TABLES.flatMap((table) => {
    const named = { table, name: model.tables[table], columns: model.columns[table] };
    return unreadableColumns(source.flavour, named, types[table] ?? []);
  });
  const missing = OUR_TABLES.filter((table) => found[table] === null);
  const inOtherCase = await readOtherCase(ask, model, missing);
  const namesOf = (tables: readonly OurTable[]): string =>
    missingText(tables.map((table) => model.tables[table]));
  const ofTables = (name: string, verdict: Verdict): Check =>
    missing.length === 0 || !verdict.ok ? check(name, verdict) : unchecked(name, namesOf(missing));
  const renames = inOtherCase.map(
    ({ table, name }) => `RENAME TABLE ${quoted(name)} TO ${shownName(model.tables[table], table)}`,
  );
  return [
    check('tables', {
      ok: noTables === null,
      detail: noTables?.detail ?? Object.values(model.tables).join(', '),
      fix:
        renames.length === 0
          ? (noTables?.fix ?? '')
          : `names are case-sensitive on this server: correct ${tableSettings(inOtherCase.map(({ table }) => table))}, or run ${renames.join(' and ')}`,
    }),
    ofTables('columns', {
      ok: noColumns === null,
      detail: noColumns?.detail ?? 'all that are needed',
      fix: noColumns?.fix ?? '',
    }),
    ofTables('column types', {
      ok: unreadable.length === 0,
      detail:
        unreadable.length === 0
          ? 'can all be read'
          : unreadable.map(({ detail }) => detail).join('; '),
      fix: unreadable.map(({ fix }) => fix).join('; '),
    }),
    missing.includes('page_views')
      ? unchecked('index', namesOf(['page_views']))
      : check('index', await indexVerdict(connection, db), false),
  ];
}

/** The rule wants an index that begins with the user's id and holds page and time. */
async function indexVerdict(connection: Connection, { model }: DatabaseSettings): Promise<Verdict> {
  const table = model.tables.page_views;
  const { user_id: userId, page, event_time: time } = model.columns.page_views;
  const rows = await rowsOf(
    connection,
    `SELECT TABLE_NAME AS tableName, INDEX_NAME AS indexName, LOWER(COLUMN_NAME) AS columnName FROM information_schema.STATISTICS
     WHERE TABLE_SCHEMA = DATABASE() AND (TABLE_NAME = ? OR LOWER(TABLE_NAME) = ?) ORDER BY INDEX_NAME, SEQ_IN_INDEX`,
    [table, table.toLowerCase()],
  );
  const exact = rows.filter(({ tableName }) => tableName === table);
  const indexes = Map.groupBy(exact.length > 0 ? exact : rows, (row) => String(row['indexName']));
  const good = [...indexes].find(([, columns]) => {
    const names = columns.map((row) => String(row['columnName']));
    const has = (name: string): boolean => names.some((one) => isSameColumn(one, name));
    return isSameColumn(names[0] ?? '', userId) && has(page) && has(time);
  });
  return {
    ok: good !== undefined,
    detail: good === undefined ? `no index for the rule on ${table}` : good[0],
    fix: `run ${indexStatement(model)}: the rule is slow without it`,
  };
}
