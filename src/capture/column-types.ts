import type { Source } from './source.ts';
import { FIELDS } from './table-plan.ts';

/** DATA_TYPE as information_schema.COLUMNS has it. */
const GEOMETRY_NAMES = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geometrycollection',
  'geomcollection',
]);

/** Types that RowReader reads, by their DATA_TYPE. */
const READ_TYPES = new Set(
  [
    ['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'enum', 'timestamp', 'datetime'],
    ['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext'],
    ['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob'],
  ].flat(),
);

/** The texts of page_views that a message has. */
export const TEXTS: readonly string[] = ['page', 'device', 'browser', 'location'];

export interface Unreadable {
  detail: string;
  fix: string;
}

export const unreadableVector = (table: string, column: string | null): Unreadable => ({
  detail: `${table} has a VECTOR column${column === null ? '' : ` (${column})`}, whose rows can not be read from the binlog`,
  fix: 'keep vectors in a table of their own',
});

export const unreadableGeometry = (column: string, text: string): Unreadable => ({
  detail: `the column ${column} of page_views comes before its texts, which can not be read then from a MariaDB binlog`,
  fix: `run ALTER TABLE page_views MODIFY ${column} <its definition> AFTER ${text}`,
});

/**
 * Columns that make rows unreadable, which they do only where a column of ours has a rarer type:
 * zongji reads such a table. It does not know MySQL 9's VECTOR, and it does not count geometries
 * among the columns with a character set, as MariaDB does (Field_geom::binlog_type_info in
 * sql/sql_type_geom.cc): the texts behind one would be read by their neighbour's.
 */
export function unreadableColumns(
  flavour: Source['flavour'],
  table: string,
  columns: readonly { name: string; type: string }[],
): Unreadable[] {
  const ours: readonly string[] = table === 'customers' ? ['id'] : FIELDS;
  if (!columns.some(({ name, type }) => ours.includes(name) && !READ_TYPES.has(type))) return [];
  if (flavour === 'mysql') {
    return columns
      .filter(({ type }) => type === 'vector')
      .map(({ name }) => unreadableVector(table, name));
  }
  if (table !== 'page_views') return [];
  const last = columns.findLastIndex(({ name }) => TEXTS.includes(name));
  return columns
    .slice(0, Math.max(last, 0))
    .filter(({ type }) => GEOMETRY_NAMES.has(type))
    .map(({ name }) => unreadableGeometry(name, columns[last]?.name ?? ''));
}
