import { readFileSync } from 'node:fs';
import type { RuleSettings } from '../settings/types.ts';
import { type EligibleUser, toEligibleUser } from './eligible-user.ts';

/**
 * Runs one parameterised statement (`:name` placeholders) in a session in DB_TIME_ZONE. Rejects
 * when it takes longer than `timeoutMs` (some default where it is not given).
 */
export type Query = (
  sql: string,
  parameters: Readonly<Record<string, unknown>>,
  timeoutMs?: number,
) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** A user or page view id in decimal, as a value that MySQL compares as an integer. */
export function sqlInteger(id: string): number | bigint {
  const value = Number(id);
  return Number.isSafeInteger(value) ? value : BigInt(id);
}

const RULE_TEXT = new URL('../../sql/rule.sql', import.meta.url);
/** For questions about a few users, which take milliseconds: a link that is dead is found by it. */
export const LOOK_MS_MAX = 10_000;
/** What is counted is only shown: nobody waits long for it. */
const COUNT_MS_MAX = 5_000;
/** Of the page views that were asked about. */
export type VisibleViews = Pick<ReadonlySet<string>, 'has'>;

/** Mostly all of the views are there, and the rows of so many take longer than their number. */
const COUNTED_FROM = 50;
const MARKER = '/* narrowed */';
const AMONG = 'AND c.id IN (:user_ids)';
const ORDER = /\s+ORDER BY c\.id\s*$/;
/** Rows without a customer, in the columns of the rule: the page views that are there. */
const VISIBLE_VIEWS = `
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, seen.id, NULL, NULL, NULL, NULL, NULL, NULL
FROM page_views seen WHERE seen.id IN (:page_view_ids)`;

/** The rule's SQL without its comments; MARKER is where it is narrowed. */
export function ruleText(): string {
  return readFileSync(RULE_TEXT, 'utf8').replace(/^--.*\n/gm, '');
}

/**
 * The rule (`sql/rule.sql`), asked of the database. Every method is one statement, so what it
 * returns is of one moment. Rejects as `query` does.
 */
export class Rule {
  readonly #query: Query;
  readonly #parameters: Readonly<Record<string, unknown>>;
  readonly #text: string;
  readonly #lookText: string;

  constructor(query: Query, settings: RuleSettings) {
    this.#query = query;
    this.#parameters = {
      plan_type: settings.planType,
      pages: [...settings.pages],
      lookback_days: settings.lookbackDays,
    };
    this.#text = ruleText();
    this.#lookText = this.#text.replace(MARKER, AMONG).replace(ORDER, VISIBLE_VIEWS);
  }

  /** The eligible among these users; by another query (of a session) where one is given. */
  async among(userIds: readonly string[], query = this.#query): Promise<EligibleUser[]> {
    if (userIds.length === 0) return [];
    return this.#run(AMONG, { user_ids: userIds.map(sqlInteger) }, LOOK_MS_MAX, query);
  }

  /**
   * The eligible among these users, and which of these page views other sessions could see before
   * that was asked, or at that moment.
   */
  async look(
    userIds: readonly string[],
    pageViewIds: readonly string[],
    query = this.#query,
  ): Promise<{ rows: EligibleUser[]; views: VisibleViews }> {
    const isFew = pageViewIds.length > 0 && pageViewIds.length < COUNTED_FROM;
    if (userIds.length === 0 || !isFew) {
      const views = await this.visibleViews(pageViewIds, query);
      return { views, rows: await this.among(userIds, query) };
    }
    const found = await query(
      this.#lookText,
      {
        ...this.#parameters,
        user_ids: userIds.map(sqlInteger),
        page_view_ids: pageViewIds.map(sqlInteger),
      },
      LOOK_MS_MAX,
    );
    const rows: EligibleUser[] = [];
    const views = new Set<string>();
    for (const row of found) {
      if (row['id'] === null) views.add(String(row['page_view_id']));
      else rows.push(toEligibleUser(row));
    }
    return { rows, views };
  }

  /** The eligible users with `afterId` < id ≤ `lastId`, in id order. */
  async inRange(afterId: string, lastId: string): Promise<EligibleUser[]> {
    return this.#run('AND c.id > :after_id AND c.id <= :last_id', {
      after_id: sqlInteger(afterId),
      last_id: sqlInteger(lastId),
    });
  }

  /**
   * How many users with an id above `afterId` are eligible now, in parts that add up: each is the
   * count among the next `pageSize` customers of the plan, so that no question takes long.
   */
  async *counts(pageSize: number, afterId: string): AsyncGenerator<number> {
    const narrowed = this.#text.replace(MARKER, 'AND c.id > :after_id AND c.id <= :last_id');
    const sql = `SELECT COUNT(*) AS eligible FROM (${narrowed}) AS everyone`;
    for await (const [after, last] of this.#ranges(pageSize, afterId)) {
      const parameters = { after_id: sqlInteger(after), last_id: sqlInteger(last) };
      const rows = await this.#query(sql, { ...this.#parameters, ...parameters }, COUNT_MS_MAX);
      yield Number(rows[0]?.['eligible'] ?? 0);
    }
  }

  /**
   * Everyone, in id order, in pages: a page is the eligible among the next `pageSize` customers of
   * the plan, so memory does not grow with the number of customers. Empty pages are passed over.
   */
  async *everyone(pageSize: number, afterId = '0'): AsyncGenerator<EligibleUser[]> {
    for await (const [after, last] of this.#ranges(pageSize, afterId)) {
      const page = await this.inRange(after, last);
      if (page.length > 0) yield page;
    }
  }

  /** Ids, first one exclusive, between which there are `pageSize` customers of the plan. */
  async *#ranges(pageSize: number, afterId: string): AsyncGenerator<[string, string]> {
    let after = afterId;
    for (;;) {
      const rows = await this.#query(
        `SELECT MAX(id) AS last_id FROM (
           SELECT id FROM customers WHERE plan_type = :plan_type AND id > :after_id
           ORDER BY id LIMIT :page_size) AS next_customers`,
        { ...this.#parameters, after_id: sqlInteger(after), page_size: pageSize },
      );
      const last = rows[0]?.['last_id'] ?? null;
      if (last === null) return;
      yield [after, String(last)];
      after = String(last);
    }
  }

  /** Whether other sessions can see one of these page views now. */
  async visibleViews(pageViewIds: readonly string[], query = this.#query): Promise<VisibleViews> {
    if (pageViewIds.length === 0) return new Set();
    const ids = pageViewIds.map(sqlInteger);
    if (ids.length >= COUNTED_FROM) {
      const count = 'SELECT COUNT(DISTINCT id) AS found FROM page_views WHERE id IN (:ids)';
      const [counted] = await query(count, { ids }, LOOK_MS_MAX);
      // Of one that was asked for twice there is one row: then they are told apart.
      if (Number(counted?.['found']) === ids.length) return { has: () => true };
    }
    const rows = await query('SELECT id FROM page_views WHERE id IN (:ids)', { ids }, LOOK_MS_MAX);
    return new Set(rows.map((row) => String(row['id'])));
  }

  async #run(
    narrowed: string,
    parameters: Record<string, unknown>,
    timeoutMs?: number,
    query = this.#query,
  ): Promise<EligibleUser[]> {
    const rows = await query(
      this.#text.replace(MARKER, narrowed),
      { ...this.#parameters, ...parameters },
      timeoutMs,
    );
    return rows.map(toEligibleUser);
  }
}
