import { readFileSync } from 'node:fs';
import type { OurTable } from '../model/columns.ts';
import { type DataModel, columnOf, quoted } from '../model/data-model.ts';
import type { FieldSource, Fields } from '../model/found.ts';

const RULE_TEXT = new URL('../../sql/rule.sql', import.meta.url);
const MARKER = '/* narrowed */';
const FIELDS = /\/\* fields \*\/[^]*\/\* end of fields \*\//;
const ORDER = /\s+ORDER BY c\.id\s*$/;
const ALIASES = { customers: 'c', page_views: 'pv' } as const;
/** A column of the rule's text by its role, or a table. */
const NAMES = /\b(c|pv)\.(\w+)\b|\b(customers|page_views) (?=c\b|pv\b)/g;
/** Columns of the result after the page view's id and before the fields. */
const TIMES = 2;

/** The rule's SQL without its comments, by roles. */
export function ruleText(): string {
  return readFileSync(RULE_TEXT, 'utf8').replace(/^--.*\n/gm, '');
}

/** SQL by roles, by what the tables and columns are called. */
function byNames(text: string, model: DataModel): string {
  return text.replace(NAMES, (_text, alias?: string, role = '', table = '') => {
    if (alias === undefined) return `${quoted(model.tables[table as OurTable])} `;
    const of: OurTable = alias === ALIASES.customers ? 'customers' : 'page_views';
    return `${alias}.${quoted(columnOf(model, of, role) ?? role)}`;
  });
}

/** The rule as it is asked; every text takes the rule's parameters beside those named here. */
export interface RuleSql {
  /** Among `:user_ids`. */
  among: string;
  /** That, and a row without a customer for each of `:page_view_ids` that is there. */
  look: string;
  /** Among those above `:after_id`, up to `:last_id`. */
  inRange: string;
  /** What a result calls the column that a field's value is from. */
  aliasOf: (source: FieldSource) => string;
}

/** @throws Error where the rule's text has none of its places. */
export function ruleSql(model: DataModel, fields: Fields): RuleSql {
  const aliases = new Map<string, string>();
  const keyOf = ({ table, column }: FieldSource): string => `${table}.${column.name}`;
  const selected: string[] = [];
  for (const source of [...fields.profile, ...fields.event]) {
    if (aliases.has(keyOf(source))) continue;
    const alias = `field_${aliases.size}`;
    aliases.set(keyOf(source), alias);
    selected.push(`${ALIASES[source.table]}.${quoted(source.column.name)} AS ${alias}`);
  }
  const [head = '', rest = ''] = ruleText().replace(ORDER, '').split(MARKER);
  const [middle = '', tail] = rest.split(FIELDS);
  if (tail === undefined) throw new Error('sql/rule.sql has no place for the fields');
  const narrowed = (condition: string): string =>
    byNames(head, model) +
    byNames(condition, model) +
    byNames(middle, model) +
    selected.join(', ') +
    byNames(tail, model);
  const order = byNames('\nORDER BY c.id', model);
  const among = narrowed('AND c.id IN (:user_ids)');
  return {
    among: among + order,
    look: `${among}\n${visibleViews(model, selected.length)}`,
    inRange: narrowed('AND c.id > :after_id AND c.id <= :last_id') + order,
    aliasOf: (source) => aliases.get(keyOf(source)) ?? '',
  };
}

/** Rows without a customer, in the columns of the rule: the page views that are there. */
function visibleViews(model: DataModel, fields: number): string {
  const nulls = Array.from({ length: TIMES + fields }, () => 'NULL').join(', ');
  return byNames(
    `UNION ALL SELECT NULL, NULL, pv.id, ${nulls} FROM page_views pv WHERE pv.id IN (:page_view_ids)`,
    model,
  );
}

/** Of `:ids`, the page views that are there; and how many they are. */
export const viewsSql = (model: DataModel): string =>
  byNames('SELECT pv.id AS id FROM page_views pv WHERE pv.id IN (:ids)', model);
export const viewsCountSql = (model: DataModel): string =>
  byNames('SELECT COUNT(DISTINCT pv.id) AS found FROM page_views pv WHERE pv.id IN (:ids)', model);

/** The last id of the next `:page_size` customers of the plan after `:after_id`. */
export const nextIdSql = (model: DataModel): string =>
  byNames(
    `SELECT MAX(next_customers.id) AS last_id FROM (
       SELECT c.id AS id FROM customers c WHERE c.plan_type = :plan_type AND c.id > :after_id
       ORDER BY c.id LIMIT :page_size) AS next_customers`,
    model,
  );
