import { escape } from 'mysql2';
import { OUR_TABLES, type OurTable } from '../model/columns.ts';
import { type DataModel, quoted } from '../model/data-model.ts';
import { type FoundColumn, type FoundTables, isInField } from '../model/found.ts';
import { kindOfType } from '../model/values.ts';

/** Rows of one statement without parameters. */
type Ask = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** A table whose name is one of ours but for its case, and its columns. */
interface ListedTable {
  name: string;
  columns: { name: string; type: string }[];
}

/** What the server has of our tables. */
export interface ReadTables {
  found: FoundTables;
  /** DATA_TYPE by column, in the table's order; null: there is no such table. */
  types: Readonly<Record<OurTable, readonly { name: string; type: string }[] | null>>;
  /** Where names are case-sensitive: how a table of ours that is missing is spelled there. */
  inOtherCase: readonly { table: OurTable; name: string }[];
}

/** Reads which columns our tables have, those that this user may see. Rejects as `ask` does. */
export async function readTables(ask: Ask, model: DataModel): Promise<ReadTables> {
  const names = Object.values(model.tables);
  const rows = await ask(
    `SELECT TABLE_NAME AS tableName, COLUMN_NAME AS columnName, LOWER(DATA_TYPE) AS dataType,
       @@GLOBAL.lower_case_table_names AS isFolded
     FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND (TABLE_NAME IN (${escape(names)})
       OR LOWER(TABLE_NAME) IN (${escape(names.map((name) => name.toLowerCase()))}))
     ORDER BY TABLE_NAME, ORDINAL_POSITION`,
  );
  const isFolded = rows.some((row) => Number(row['isFolded']) !== 0);
  const listed: ListedTable[] = [];
  for (const row of rows) {
    const name = String(row['tableName']);
    let table = listed.find((one) => one.name === name);
    if (table === undefined) listed.push((table = { name, columns: [] }));
    table.columns.push({ name: String(row['columnName']), type: String(row['dataType']) });
  }
  const lower = (text: string): string => text.toLowerCase();
  const typesOf = (table: OurTable): ListedTable['columns'] | null => {
    const wanted = model.tables[table];
    const isIt = ({ name }: ListedTable): boolean =>
      name === wanted || (isFolded && lower(name) === lower(wanted));
    return listed.find(isIt)?.columns ?? null;
  };
  const types = { customers: typesOf('customers'), page_views: typesOf('page_views') };
  const inOtherCase = OUR_TABLES.filter((table) => types[table] === null).flatMap((table) => {
    const other = listed.find(({ name }) => lower(name) === lower(model.tables[table]));
    return other === undefined ? [] : [{ table, name: other.name }];
  });
  const foundIn = (table: OurTable): Promise<FoundColumn[] | null> =>
    withKinds(ask, model, table, types[table]);
  const found = { customers: await foundIn('customers'), page_views: await foundIn('page_views') };
  return { found, types, inOtherCase };
}

/** MariaDB's JSON is LONGTEXT, whose check alone tells it from other texts. */
async function withKinds(
  ask: Ask,
  model: DataModel,
  table: OurTable,
  columns: ListedTable['columns'] | null,
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
