import { quoted, shownName } from '../../../model/data-model.ts';
import type { ServerFacts } from '../server.ts';
import { rolesOf } from '../../../model/columns.ts';
import type { NamedTable } from '../dump/events.ts';

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

/** Of the page views, roles of whole numbers and times; of a message all others are texts. */
const NO_TEXTS: ReadonlySet<string> = new Set(['id', 'user_id', 'event_time']);

/** Names, in lower case, of the columns that a message has: all of them, or the texts. */
export function messageColumns(
  { table, columns }: Pick<NamedTable, 'table' | 'columns'>,
  which: 'all' | 'texts',
): ReadonlySet<string> {
  const names: Readonly<Record<string, string>> = columns;
  const roles: readonly string[] = rolesOf(table, 'message');
  const wanted = which === 'all' ? roles : roles.filter((role) => !NO_TEXTS.has(role));
  return new Set(wanted.map((role) => (names[role] ?? role).toLowerCase()));
}

export interface Unreadable {
  detail: string;
  fix: string;
}

export const unreadableVector = (table: string, column: string | null): Unreadable => ({
  detail: `${table} has a VECTOR column${column === null ? '' : ` (${column})`}, whose rows cannot be read from the binlog`,
  fix: 'keep vectors in a table of their own',
});

export const unreadableGeometry = (table: string, column: string, text: string): Unreadable => ({
  detail: `the column ${column} of ${table} comes before its texts, which cannot be read then from a MariaDB binlog`,
  fix: `run ALTER TABLE ${shownName(table, 'page_views')} MODIFY ${quoted(column)} <its definition> AFTER ${quoted(text)}`,
});

/**
 * Columns that make rows unreadable, which they do only where a column of ours has a rarer type:
 * zongji reads such a table. It does not know MySQL 9's VECTOR, and it does not count geometries
 * among the columns with a character set, as MariaDB does (Field_geom::binlog_type_info in
 * sql/sql_type_geom.cc): the texts behind one would be read by their neighbour's.
 */
export function unreadableColumns(
  flavour: ServerFacts['flavour'],
  table: Pick<NamedTable, 'table' | 'name' | 'columns'>,
  columns: readonly { name: string; type: string }[],
): Unreadable[] {
  const isIn = (names: ReadonlySet<string>, name: string): boolean => names.has(name.toLowerCase());
  const ours = messageColumns(table, 'all');
  if (!columns.some(({ name, type }) => isIn(ours, name) && !READ_TYPES.has(type))) return [];
  if (flavour === 'mysql') {
    return columns
      .filter(({ type }) => type === 'vector')
      .map(({ name }) => unreadableVector(table.name, name));
  }
  if (table.table !== 'page_views') return [];
  const texts = messageColumns(table, 'texts');
  const last = columns.findLastIndex(({ name }) => isIn(texts, name));
  return columns
    .slice(0, Math.max(last, 0))
    .filter(({ type }) => GEOMETRY_NAMES.has(type))
    .map(({ name }) => unreadableGeometry(table.name, name, columns[last]?.name ?? ''));
}
