import { COLUMNS } from '../../src/model/columns.ts';

/** What information_schema says of the tables of sql/, to `readTables`. */
export const DEFAULT_COLUMN_ROWS: readonly Readonly<Record<string, unknown>>[] = COLUMNS.map(
  ({ table, role }) => ({
    ours: table,
    tableName: table,
    columnName: role,
    dataType: role.endsWith('id') ? 'bigint' : 'varchar',
    isFolded: 0,
  }),
);
