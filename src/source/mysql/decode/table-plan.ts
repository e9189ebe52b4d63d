import type { ColumnNames } from './decoded-rows.ts';
import { type OurTable, roleText, rolesOf } from '../../../model/columns.ts';
import type { NamedTable } from '../dump/events.ts';

/** What a rows event of a captured table is read by: made once for each table map. */
export interface TablePlan {
  table: OurTable;
  /** What the table is called. */
  name: string;
  columns: ColumnNames;
  /** Positions of the columns that have to be in every row image: those of FIELDS, in order. */
  needed: readonly number[];
}

interface Column {
  name: string;
  type: number;
}

/** include/field_types.h: MYSQL_TYPE_DATETIME and MYSQL_TYPE_DATETIME2. */
const DATETIME_TYPES = new Set([12, 18]);

/** The columns of a page view that its message has, in its order; of customers, only the first. */
export const FIELDS = rolesOf('page_views', 'message');

/**
 * Finds the columns that matter, however the table spells them. A missing one that can't be done
 * without is returned by its name, and its role as COLUMN_NAMES has it.
 */
export function planTable(
  { table, name: tableName, columns: names }: Omit<NamedTable, 'schema'>,
  tableColumns: readonly Column[],
): TablePlan | { missing: string; role: string } {
  const positions = new Map(tableColumns.map(({ name }, at) => [name.toLowerCase(), at]));
  const called: Readonly<Record<string, string>> = names;
  const nameOf = (role: string): string => called[role] ?? role;
  const find = (role: string): Column | null =>
    tableColumns[positions.get(nameOf(role).toLowerCase()) ?? -1] ?? null;
  const wanted: readonly string[] = rolesOf(table, 'message');
  const needed: number[] = [];
  for (const role of wanted) {
    const at = positions.get(nameOf(role).toLowerCase());
    if (at === undefined) return { missing: nameOf(role), role: roleText(table, role) };
    needed.push(at);
  }
  const ofViews = (role: string): Column | null => (table === 'customers' ? null : find(role));
  const eventTime = ofViews('event_time');
  const columns: ColumnNames = {
    id: find('id')?.name ?? '',
    userId: find(table === 'customers' ? 'id' : 'user_id')?.name ?? '',
    page: ofViews('page')?.name ?? null,
    device: ofViews('device')?.name ?? null,
    browser: ofViews('browser')?.name ?? null,
    location: ofViews('location')?.name ?? null,
    eventTime: eventTime?.name ?? null,
    isWallTime: eventTime !== null && DATETIME_TYPES.has(eventTime.type),
  };
  return { table, name: tableName, columns, needed };
}

/** What is said of a table whose rows lack a column that is needed. */
export const missingColumnText = (
  table: string,
  { missing, role }: { missing: string; role: string },
): string =>
  `the table ${table} had no column ${missing}; add it, or say what it is called: COLUMN_NAMES=${role}=<name>`;

/** Whether a row image holds a column (`bitmap` from `at` on: one bit a column). */
export const hasColumn = (bitmap: Uint8Array, at: number, position: number): boolean =>
  ((bitmap[at + (position >> 3)] ?? 0) & (1 << (position & 7))) !== 0;

/** Whether a row image holds every column that is needed. */
export function isImageWhole(plan: TablePlan, bitmap: Uint8Array, at = 0): boolean {
  for (const position of plan.needed) if (!hasColumn(bitmap, at, position)) return false;
  return true;
}
