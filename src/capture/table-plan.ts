import type { ColumnNames } from './decoded-rows.ts';
import type { CapturedTable } from './events.ts';

/** What a rows event of a captured table is read by: made once for each table map. */
export interface TablePlan {
  table: CapturedTable;
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
export const FIELDS = [
  'id',
  'user_id',
  'page',
  'device',
  'browser',
  'location',
  'event_time',
] as const;

/**
 * Finds the columns that matter, however the table spells them. A missing one that can't be done
 * without is returned by name.
 */
export function planTable(
  table: CapturedTable,
  tableColumns: readonly Column[],
): TablePlan | { missing: string } {
  const positions = new Map(tableColumns.map(({ name }, at) => [name.toLowerCase(), at]));
  const find = (field: string): Column | null => tableColumns[positions.get(field) ?? -1] ?? null;
  const wanted = table === 'customers' ? (['id'] as const) : FIELDS;
  const needed: number[] = [];
  for (const field of wanted) {
    const at = positions.get(field);
    if (at === undefined) return { missing: field };
    needed.push(at);
  }
  const eventTime = find('event_time');
  const columns: ColumnNames = {
    id: find('id')?.name ?? '',
    userId: find(table === 'customers' ? 'id' : 'user_id')?.name ?? '',
    page: find('page')?.name ?? null,
    device: find('device')?.name ?? null,
    browser: find('browser')?.name ?? null,
    location: find('location')?.name ?? null,
    eventTime: eventTime?.name ?? null,
    isWallTime: eventTime !== null && DATETIME_TYPES.has(eventTime.type),
  };
  return { table, columns, needed };
}

/** Whether a row image holds a column (`bitmap` from `at` on: one bit a column). */
export const hasColumn = (bitmap: Uint8Array, at: number, position: number): boolean =>
  ((bitmap[at + (position >> 3)] ?? 0) & (1 << (position & 7))) !== 0;

/** Whether a row image holds every column that is needed. */
export function isImageWhole(plan: TablePlan, bitmap: Uint8Array, at = 0): boolean {
  for (const position of plan.needed) if (!hasColumn(bitmap, at, position)) return false;
  return true;
}
