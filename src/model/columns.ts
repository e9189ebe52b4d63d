/**
 * The columns that are read, by the roles that they have: what is captured, asked, checked and
 * documented comes from this one table. What they are called in a database, `DataModel` says.
 */

export const OUR_TABLES = ['customers', 'page_views'] as const;
/** Our two tables, by their roles. */
export type OurTable = (typeof OUR_TABLES)[number];

/**
 * Where a column is read: `message`, of its row in the binlog; `rule`, by the rule's conditions and
 * order; `call`, always in a call to Iterable; `field`, in dataFields where PROFILE_FIELDS or
 * EVENT_FIELDS has it.
 */
export type Purpose = 'message' | 'rule' | 'call' | 'field';

export interface Column {
  table: OurTable;
  /** Also the default name. */
  role: string;
  type: string;
  purposes: readonly Purpose[];
  use: string;
  /** What NULL in it means; null: it may not be NULL. */
  whenNull: string | null;
}

export const COLUMNS = [
  { table: 'customers', role: 'id', type: 'whole number, primary key', purposes: ['message', 'rule', 'call'], use: 'who it is; rows are looked up by it', whenNull: null },
  { table: 'customers', role: 'email', type: 'text', purposes: ['call'], use: "Iterable's identifier", whenNull: 'refused: a dead letter' },
  { table: 'customers', role: 'first_name', type: 'text', purposes: ['field'], use: '`PROFILE_FIELDS`', whenNull: 'left out' },
  { table: 'customers', role: 'last_name', type: 'text', purposes: ['field'], use: '`PROFILE_FIELDS`', whenNull: 'left out' },
  { table: 'customers', role: 'plan_type', type: 'ENUM or text', purposes: ['rule', 'field'], use: 'rule (`RULE_PLAN_TYPE`), `PROFILE_FIELDS`', whenNull: 'not on the plan' },
  { table: 'customers', role: 'candidate', type: 'text', purposes: ['field'], use: '`PROFILE_FIELDS`, `EVENT_FIELDS`', whenNull: 'left out' },
  { table: 'page_views', role: 'id', type: 'whole number, primary key', purposes: ['message', 'rule', 'call'], use: "the event's id, `page-view-<id>`", whenNull: null },
  { table: 'page_views', role: 'user_id', type: 'whole number', purposes: ['message', 'rule'], use: 'the customer, by `customers.id`', whenNull: "nobody's view" },
  { table: 'page_views', role: 'page', type: 'ENUM or text', purposes: ['message', 'rule', 'field'], use: 'message, rule (`RULE_PAGES`), `EVENT_FIELDS`', whenNull: 'does not count' },
  { table: 'page_views', role: 'device', type: 'ENUM or text', purposes: ['message', 'field'], use: 'message, `EVENT_FIELDS`', whenNull: 'left out' },
  { table: 'page_views', role: 'browser', type: 'ENUM or text', purposes: ['message', 'field'], use: 'message', whenNull: '`null`' },
  { table: 'page_views', role: 'location', type: 'text', purposes: ['message', 'field'], use: 'message, `EVENT_FIELDS`', whenNull: 'left out' },
  { table: 'page_views', role: 'event_time', type: 'TIMESTAMP or DATETIME', purposes: ['message', 'rule', 'call'], use: 'message, rule (`RULE_LOOKBACK_DAYS`), event', whenNull: 'does not count' },
] as const satisfies readonly Column[];

/** A role in one of the tables. */
export type Role<T extends OurTable = OurTable> = Extract<
  (typeof COLUMNS)[number],
  { table: T }
>['role'];

const ALL: readonly Column[] = COLUMNS;

/** Roles of a table, in the table's order; those with one of these purposes where some are given. */
export function rolesOf<T extends OurTable>(table: T, ...purposes: readonly Purpose[]): Role<T>[] {
  return ALL.filter(
    (column) =>
      column.table === table &&
      (purposes.length === 0 || column.purposes.some((one) => purposes.includes(one))),
  ).map(({ role }) => role as Role<T>);
}

/** A role as COLUMN_NAMES has it: with its table where both tables have it. */
export function roleText(table: OurTable, role: string): string {
  const isInBoth = OUR_TABLES.every((one) =>
    ALL.some((column) => column.table === one && column.role === role),
  );
  return isInBoth ? `${table}.${role}` : role;
}

/** The README's table. */
export function columnsMarkdown(): string {
  const lines = ALL.map(
    ({ table, role, type, purposes, use, whenNull }) =>
      `| \`${table}.${role}\` | ${type} | ${use} | ${whenNull ?? 'may not be'} | ${purposes.every((one) => one === 'field') ? 'where a field names it' : 'always'} |`,
  );
  return [
    '| Role | Type | Used for | NULL | Needed |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}
