import { COLUMNS, OUR_TABLES, type OurTable, type Role, rolesOf } from './columns.ts';

/** A column that becomes one of Iterable's dataFields, as PROFILE_FIELDS or EVENT_FIELDS has it. */
export interface FieldSetting {
  /** A role, or the name of a column. */
  column: string;
  /** It is the name of a column, whatever the roles are called. */
  isExact: boolean;
  field: string;
}

/** The fields that are always there: of the profile, and of the event. */
export const PROFILE_MARK = 'recent_page_view';
export const EVENT_MARK = 'timestamp';

/** What the columns of our tables are called, by role. */
export type ColumnNames = { readonly [T in OurTable]: Readonly<Record<Role<T>, string>> };

/** What our tables and columns are called in DB_NAME, and which columns become dataFields. */
export interface DataModel {
  tables: Readonly<Record<OurTable, string>>;
  columns: ColumnNames;
  profile: readonly FieldSetting[];
  event: readonly FieldSetting[];
}

const named = (...columns: readonly string[]): FieldSetting[] =>
  columns.map((column) => ({ column, isExact: false, field: column }));

const defaultNames = <T extends OurTable>(table: T): Record<Role<T>, string> =>
  Object.fromEntries(rolesOf(table).map((role) => [role, role])) as Record<Role<T>, string>;

/** Every name as the contract has it. */
export const DEFAULT_MODEL: DataModel = {
  tables: { customers: 'customers', page_views: 'page_views' },
  columns: { customers: defaultNames('customers'), page_views: defaultNames('page_views') },
  profile: named('first_name', 'last_name', 'plan_type', 'candidate'),
  event: named('page', 'device', 'location', 'candidate'),
};

/** An identifier as SQL has it, whatever is in it. */
export const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

/** A name in a statement that people are to run: one that is the role's own needs no quotes. */
export const shownName = (name: string, role: string): string =>
  name === role ? name : quoted(name);

/** The index that the rule wants. */
export function indexStatement({ tables, columns }: DataModel): string {
  const { user_id: userId, page, event_time: time } = columns.page_views;
  const names = [
    shownName(userId, 'user_id'),
    shownName(page, 'page'),
    shownName(time, 'event_time'),
  ];
  return `CREATE INDEX page_views_rule ON ${shownName(tables.page_views, 'page_views')} (${names.join(', ')})`;
}

/** Names of columns are compared without regard to case, as MySQL does. */
export const isSameColumn = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** The table of this name, whatever lower_case_table_names is; null: it is none of ours. */
export function tableNamed({ tables }: DataModel, name: string): OurTable | null {
  const same = (table: OurTable): boolean => tables[table].toLowerCase() === name.toLowerCase();
  return OUR_TABLES.find(same) ?? null;
}

/** The name of the column that has this role; null: the table has no such role. */
export function columnOf(model: DataModel, table: OurTable, role: string): string | null {
  const found = COLUMNS.find((column) => column.table === table && isSameColumn(column.role, role));
  return found === undefined ? null : nameOf(model, table, found.role);
}

/** As `columnOf`, of a role that the table has. */
export function nameOf(model: DataModel, table: OurTable, role: Role): string {
  const names: Readonly<Record<string, string>> = model.columns[table];
  return names[role] ?? role;
}

/** What a field's setting may mean in one table: the column that has the role, or its own name. */
export function columnFor(model: DataModel, table: OurTable, setting: FieldSetting): string {
  const byRole = setting.isExact ? null : columnOf(model, table, setting.column);
  return byRole ?? setting.column;
}

/** The fields that a table's columns may be in, with the setting that names them. */
export function fieldsOf(
  model: DataModel,
  table: OurTable,
): { setting: 'PROFILE_FIELDS' | 'EVENT_FIELDS'; column: string }[] {
  const of = (fields: readonly FieldSetting[], setting: 'PROFILE_FIELDS' | 'EVENT_FIELDS') =>
    fields.map((field) => ({ setting, column: columnFor(model, table, field) }));
  const event = of(model.event, 'EVENT_FIELDS');
  return table === 'customers' ? [...of(model.profile, 'PROFILE_FIELDS'), ...event] : event;
}

/**
 * Names of columns whose values what Iterable holds depends on, in lower case: the rule's, the
 * calls', and those that may be in a field.
 */
export function valueColumns(model: DataModel, table: OurTable): ReadonlySet<string> {
  return lowerCased([
    ...rolesOf(table, 'rule', 'call').map((role) => nameOf(model, table, role)),
    ...fieldsOf(model, table).map(({ column }) => column),
  ]);
}

/** Those, and the ones that a message has. */
export function readColumns(model: DataModel, table: OurTable): ReadonlySet<string> {
  const inMessage = rolesOf(table, 'message').map((role) => nameOf(model, table, role));
  return new Set([...lowerCased(inMessage), ...valueColumns(model, table)]);
}

const lowerCased = (names: readonly string[]): Set<string> =>
  new Set(names.map((name) => name.toLowerCase()));
