import { OUR_TABLES, type OurTable, roleText, rolesOf } from './columns.ts';
import {
  type DataModel,
  type FieldSetting,
  columnFor,
  columnOf,
  fieldsOf,
  isSameColumn,
  nameOf,
} from './data-model.ts';
import type { ValueKind } from './values.ts';

export interface FoundColumn {
  /** As the table spells it. */
  name: string;
  kind: ValueKind;
}

/** The columns of our tables, as the server has them; null: there is no such table, or it may not be read. */
export type FoundTables = Readonly<Record<OurTable, readonly FoundColumn[] | null>>;

/** Where a field's value comes from. */
export interface FieldSource {
  field: string;
  table: OurTable;
  column: FoundColumn;
}

export interface Fields {
  profile: readonly FieldSource[];
  event: readonly FieldSource[];
}

/** What is not there, and what to do about it. */
export interface Lack {
  detail: string;
  fix: string;
}

/** The column that a field's setting means in this table; null: it has none. */
function columnIn(
  model: DataModel,
  table: OurTable,
  setting: FieldSetting,
  found: FoundTables,
): FieldSource | null {
  const wanted = columnFor(model, table, setting);
  const column = found[table]?.find(({ name }) => isSameColumn(name, wanted));
  return column === undefined ? null : { field: setting.field, table, column };
}

/** An event's fields come from page_views where it has the column, else from customers. */
const eventSource = (
  model: DataModel,
  setting: FieldSetting,
  found: FoundTables,
): FieldSource | null =>
  columnIn(model, 'page_views', setting, found) ?? columnIn(model, 'customers', setting, found);

/** The fields whose columns are there. */
export function fieldsIn(model: DataModel, found: FoundTables): Fields {
  return {
    profile: model.profile.flatMap((one) => columnIn(model, 'customers', one, found) ?? []),
    event: model.event.flatMap((one) => eventSource(model, one, found) ?? []),
  };
}

/** A table as people know it: by its name, and by its role where that is another. */
export function tableText({ tables }: DataModel, table: OurTable): string {
  return tables[table] === table ? table : `${tables[table]} (for ${table})`;
}

const TABLE_SETTINGS = { customers: 'CUSTOMERS_TABLE', page_views: 'PAGE_VIEWS_TABLE' } as const;

export const tableSettings = (tables: readonly OurTable[]): string =>
  tables.map((table) => TABLE_SETTINGS[table]).join(' and ');

/** The tables that are not there, in words; null: both are. `grant`: what lets the user read them. */
export function lackingTables(
  model: DataModel,
  found: FoundTables,
  database: string,
  grant: string,
): Lack | null {
  const absent = OUR_TABLES.filter((table) => found[table] === null);
  if (absent.length === 0) return null;
  return {
    detail: `no ${absent.map((table) => tableText(model, table)).join(' and ')} in ${database}, or not readable`,
    fix: `run setup-db, check DB_NAME and ${tableSettings(absent)}, or run ${grant}`,
  };
}

interface MissingColumn {
  text: string;
  /** As COLUMN_NAMES has it; null: only a field names it. */
  role: string | null;
  settings: readonly string[];
}

/** The roles of a table whose columns are read and are not there. */
function missingRoles(model: DataModel, table: OurTable, found: FoundTables): MissingColumn[] {
  const columns = found[table];
  if (columns === null) return [];
  const always: readonly string[] = rolesOf(table, 'message', 'rule', 'call');
  return rolesOf(table).flatMap((role) => {
    const name = nameOf(model, table, role);
    if (columns.some((column) => isSameColumn(column.name, name))) return [];
    const settings = fieldSettings(model, table, role, found);
    if (!always.includes(role) && settings.length === 0) return [];
    const notes = [`role ${role}`, ...settings].join(', ');
    const text = `${model.tables[table]}.${name} (${notes})`;
    return [{ text, role: roleText(table, role), settings }];
  });
}

/** The settings that have this role among their fields, where no other column takes its place. */
function fieldSettings(
  model: DataModel,
  table: OurTable,
  role: string,
  found: FoundTables,
): string[] {
  const means = (one: FieldSetting): boolean => !one.isExact && isSameColumn(one.column, role);
  const isInProfile = table === 'customers' && model.profile.some(means);
  const isInEvent = model.event.some(
    (one) =>
      means(one) &&
      eventSource(model, one, found) === null &&
      (table === 'page_views' || columnOf(model, 'page_views', role) === null),
  );
  return [...(isInProfile ? ['PROFILE_FIELDS'] : []), ...(isInEvent ? ['EVENT_FIELDS'] : [])];
}

/** Fields of columns that have no role and are nowhere. */
function missingFields(model: DataModel, found: FoundTables): MissingColumn[] {
  const { customers, page_views: views } = model.tables;
  const isRole = (one: FieldSetting, ...tables: readonly OurTable[]): boolean =>
    !one.isExact && tables.some((table) => columnOf(model, table, one.column) !== null);
  const profile = model.profile.filter(
    (one) => !isRole(one, 'customers') && columnIn(model, 'customers', one, found) === null,
  );
  const event = model.event.filter(
    (one) => !isRole(one, ...OUR_TABLES) && eventSource(model, one, found) === null,
  );
  return [
    ...profile.map(({ column }) => ({
      text: `${customers}.${column} (PROFILE_FIELDS)`,
      role: null,
      settings: ['PROFILE_FIELDS'],
    })),
    ...event.map(({ column }) => ({
      text: `${column} of ${views} or ${customers} (EVENT_FIELDS)`,
      role: null,
      settings: ['EVENT_FIELDS'],
    })),
  ];
}

/**
 * The columns that are read and are not there, in words; null: all are. Nothing is said of a table
 * that is not there, nor of the fields of an event that could be in it.
 */
export function lackingColumns(model: DataModel, found: FoundTables, grant: string): Lack | null {
  const isWhole = OUR_TABLES.every((table) => found[table] !== null);
  const missing = [
    ...OUR_TABLES.flatMap((table) => missingRoles(model, table, found)),
    ...(isWhole ? missingFields(model, found) : []),
  ];
  if (missing.length === 0) return null;
  const roles = missing.flatMap(({ role }) => role ?? []);
  const settings = [...new Set(missing.flatMap((one) => (one.role === null ? one.settings : [])))];
  const ways = [
    ...(roles.length === 0
      ? []
      : [
          `add what is not there, as sql/database_setup.sql has it, or say what it is called: COLUMN_NAMES=${roles.map((role) => `${role}=<name>`).join(',')}`,
        ]),
    ...(settings.length === 0 ? [] : [`correct ${settings.join(' and ')}`]),
    `run ${grant}, where this user may not see them`,
  ];
  return {
    detail: `missing: ${missing.map(({ text }) => text).join(', ')}`,
    fix: ways.join('; or '),
  };
}

/** Whether a column of this table may be in a field. */
export function isInField(model: DataModel, table: OurTable, column: string): boolean {
  return fieldsOf(model, table).some((one) => isSameColumn(one.column, column));
}
