import { escape } from 'mysql2';
import { OUR_TABLES, type OurTable } from '../model/columns.ts';
import { type DataModel, quoted } from '../model/data-model.ts';
import { type FoundColumn, type FoundTables, isInField } from '../model/found.ts';
import { kindOfType } from '../model/values.ts';

/** Rows of one statement without parameters. */
type Ask = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

interface TypedColumn {
  name: string;
  /** DATA_TYPE. */
  type: string;
}

/** What the server has of our tables. */
export interface ReadTables {
  found: FoundTables;
  /** In the table's order; null: there is no such table. */
  types: Readonly<Record<OurTable, readonly TypedColumn[] | null>>;
}

/**
 * Reads which columns our tables have, those that this user may see: in milliseconds, however many
 * tables there are beside them. Rejects as `ask` does.
 */
export async function readTables(ask: Ask, model: DataModel): Promise<ReadTables> {
  // The server finds a table by its name alone where the condition is no more than that.
  const selects = OUR_TABLES.map(
    (table) =>
      `SELECT ${escape(table)} AS ours, TABLE_NAME AS tableName, COLUMN_NAME AS columnName,
         LOWER(DATA_TYPE) AS dataType, ORDINAL_POSITION AS place,
         @@GLOBAL.lower_case_table_names AS isFolded
       FROM information_schema.COLUMNS
       WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${escape(model.tables[table])}`,
  );
  const rows = await ask(selects.join(' UNION ALL '));
  const typesOf = (table: OurTable): TypedColumn[] | null => {
    const own = rows.filter(
      ({ ours, tableName, isFolded }) =>
        ours === table && (tableName === model.tables[table] || Number(isFolded) !== 0),
    );
    const ordered = own.toSorted((a, b) => Number(a['place']) - Number(b['place']));
    const columns = ordered.map(({ columnName, dataType }) => ({
      name: String(columnName),
      type: String(dataType),
    }));
    return columns.length === 0 ? null : columns;
  };
  const types = { customers: typesOf('customers'), page_views: typesOf('page_views') };
  const foundIn = (table: OurTable): Promise<FoundColumn[] | null> =>
    withKinds(ask, model, table, types[table]);
  const found = { customers: await foundIn('customers'), page_views: await foundIn('page_views') };
  return { found, types };
}

/** How tables of ours that are not there are spelled, where others are there but for the case. */
export async function readOtherCase(
  ask: Ask,
  model: DataModel,
  missing: readonly OurTable[],
): Promise<{ table: OurTable; name: string }[]> {
  if (missing.length === 0) return [];
  const lower = (name: string): string => name.toLowerCase();
  const names = missing.map((table) => lower(model.tables[table]));
  const rows = await ask(
    `SELECT TABLE_NAME AS name FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = DATABASE() AND LOWER(TABLE_NAME) IN (${escape(names)})`,
  );
  return missing.flatMap((table) => {
    const there = rows.map(({ name }) => String(name));
    const wanted = model.tables[table];
    const other = there.find((name) => name !== wanted && lower(name) === lower(wanted));
    return other === undefined ? [] : [{ table, name: other }];
  });
}

/** MariaDB's JSON is LONGTEXT, whose check alone tells it from other texts. */
async function withKinds(
  ask: Ask,
  model: DataModel,
  table: OurTable,
  columns: readonly TypedColumn[] | null,
): Promise<FoundColumn[] | null> {
  if (columns === null) return null;
  const mayBeJson = columns.some(
    ({ name, type }) => type === 'longtext' && isInField(model, table, name),
  );
  const [row] = mayBeJson ? await ask(`SHOW CREATE TABLE ${quoted(model.tables[table])}`) : [];
  const text = String(row?.['Create Table'] ?? '');
  return columns.map(({ name, type }) => {
    const isJson = type === 'longtext' && isCheckedJson(text, name);
    return { name, kind: isJson ? 'json' : kindOfType(type) };
  });
}

/** Whether SHOW CREATE TABLE, which has a line a column, has that check in the column's line. */
function isCheckedJson(createTable: string, column: string): boolean {
  const name = quoted(column);
  return createTable
    .split('\n')
    .some(
      (line) =>
        line.trimStart().startsWith(`${name} longtext`) && line.includes(`json_valid(${name})`),
    );
}
