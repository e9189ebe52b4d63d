/** The columns that the tables need: what is checked, and the README's table, come from here. */

export interface NeededColumn {
  table: 'customers' | 'page_views';
  name: string;
  type: string;
  use: string;
  /** What NULL in it means; null: it may not be NULL. */
  whenNull: string | null;
}

/** Columns that the rule, the messages and the payloads have. The README's table comes from here. */
export const NEEDED_COLUMNS = [
  { table: 'customers', name: 'id', type: 'whole number, primary key', use: 'who it is; rows are looked up by it', whenNull: null },
  { table: 'customers', name: 'email', type: 'text', use: "Iterable's identifier", whenNull: 'refused: a dead letter' },
  { table: 'customers', name: 'first_name', type: 'text', use: 'profile', whenNull: 'left out' },
  { table: 'customers', name: 'last_name', type: 'text', use: 'profile', whenNull: 'left out' },
  { table: 'customers', name: 'plan_type', type: 'ENUM or text', use: 'rule (`RULE_PLAN_TYPE`), profile', whenNull: 'not on the plan' },
  { table: 'customers', name: 'candidate', type: 'text', use: 'profile, event', whenNull: 'left out' },
  { table: 'page_views', name: 'id', type: 'whole number, primary key', use: "the event's id, `page-view-<id>`", whenNull: null },
  { table: 'page_views', name: 'user_id', type: 'whole number', use: 'the customer, by `customers.id`', whenNull: "nobody's view" },
  { table: 'page_views', name: 'page', type: 'ENUM or text', use: 'rule (`RULE_PAGES`), event', whenNull: 'does not count' },
  { table: 'page_views', name: 'device', type: 'ENUM or text', use: 'event', whenNull: 'left out' },
  { table: 'page_views', name: 'browser', type: 'ENUM or text', use: 'the message in the topic', whenNull: '`null`' },
  { table: 'page_views', name: 'location', type: 'text', use: 'event', whenNull: 'left out' },
  { table: 'page_views', name: 'event_time', type: 'TIMESTAMP or DATETIME', use: 'rule (`RULE_LOOKBACK_DAYS`), event', whenNull: 'does not count' },
] as const satisfies readonly NeededColumn[];

/** The names of one table's columns, in this order. */
export const namesIn = (table: NeededColumn['table']): string[] =>
  NEEDED_COLUMNS.filter((column) => column.table === table).map(({ name }) => name);

/** The README's table. */
export function columnsMarkdown(): string {
  const lines = NEEDED_COLUMNS.map(
    ({ table, name, type, use, whenNull }) =>
      `| \`${table}.${name}\` | ${type} | ${use} | ${whenNull ?? 'may not be'} |`,
  );
  return ['| Column | Type | Used for | NULL |', '| --- | --- | --- | --- |', ...lines].join('\n');
}
