import { readTables } from '../database/columns.ts';
import { readGrant } from '../database/grants.ts';
import type { Query } from '../database/open.ts';
import { UnavailableError } from '../errors.ts';
import { fieldsIn, lackingColumns, lackingTables } from '../model/found.ts';
import type { DatabaseSettings, RuleSettings } from '../settings/types.ts';
import { type EligibleUser, userReader } from './eligible-user.ts';
import { type RuleSql, nextIdSql, ruleSql, viewsCountSql, viewsSql } from './rule-sql.ts';

/** What the rule must know of the database that it asks. */
export type RuleDatabase = Pick<DatabaseSettings, 'name' | 'user' | 'model'>;

/** A user or page view id in decimal, as a value that MySQL compares as an integer. */
export function sqlInteger(id: string): number | bigint {
  const value = Number(id);
  return Number.isSafeInteger(value) ? value : BigInt(id);
}

/** For questions about a few users, which take milliseconds: a link that is dead is found by it. */
export const LOOK_MS_MAX = 10_000;
/** What is counted is only shown: nobody waits long for it. */
const COUNT_MS_MAX = 5_000;
/**
 * What was read of the tables' columns is good for so long. A look at everyone that a definition has
 * caused comes a second after it (COMMIT_GAP_MS in capture/resync.ts), and so by the new columns.
 */
const COLUMNS_MS_MAX = 500;
/** Of the page views that were asked about. */
export type VisibleViews = Pick<ReadonlySet<string>, 'has'>;

/** Mostly all of the views are there, and the rows of so many take longer than their number. */
const COUNTED_FROM = 50;

/** The rule by the columns that the tables have. */
interface Prepared {
  sql: RuleSql;
  toUser: (row: Readonly<Record<string, unknown>>) => EligibleUser;
  /** When its columns were asked for, monotonic ms. */
  readMs: number;
}

/**
 * The rule (`sql/rule.sql`), asked of the database. Every method but `counts` and `everyone` is one
 * statement, so what it returns is of one moment. Rejects as `query` does, and with UnavailableError
 * where a column is missing: it names the column and the setting.
 */
export class Rule {
  readonly #query: Query;
  readonly #db: RuleDatabase;
  readonly #parameters: Readonly<Record<string, unknown>>;
  #prepared: Prepared | null = null;

  constructor(query: Query, settings: RuleSettings, db: RuleDatabase) {
    this.#query = query;
    this.#db = db;
    this.#parameters = {
      plan_type: settings.planType,
      pages: [...settings.pages],
      lookback_days: settings.lookbackDays,
    };
  }

  /** Reads which columns the tables have, unless that is known; rejects where one is missing. */
  async ready(): Promise<void> {
    await this.#columns(this.#query, Number.POSITIVE_INFINITY);
  }

  /** The eligible among these users; by another query (of a session) where one is given. */
  async among(userIds: readonly string[], query = this.#query): Promise<EligibleUser[]> {
    if (userIds.length === 0) return [];
    const ids = { user_ids: userIds.map(sqlInteger) };
    return this.#run((sql) => sql.among, ids, LOOK_MS_MAX, query);
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
    // No definition asks for these: what is known of the columns is good enough.
    const prepared = await this.#columns(query, Number.POSITIVE_INFINITY);
    const found = await this.#ask(
      prepared.sql.look,
      { user_ids: userIds.map(sqlInteger), page_view_ids: pageViewIds.map(sqlInteger) },
      LOOK_MS_MAX,
      query,
    );
    const rows: EligibleUser[] = [];
    const views = new Set<string>();
    for (const row of found) {
      if (row['id'] === null) views.add(String(row['page_view_id']));
      else rows.push(prepared.toUser(row));
    }
    return { rows, views };
  }

  /** The eligible users with `afterId` < id ≤ `lastId`, in id order. */
  async inRange(afterId: string, lastId: string): Promise<EligibleUser[]> {
    const range = { after_id: sqlInteger(afterId), last_id: sqlInteger(lastId) };
    return this.#run((sql) => sql.inRange, range);
  }

  /**
   * How many users with an id above `afterId` are eligible now, in parts that add up: each is the
   * count among the next `pageSize` customers of the plan, so that no question takes long.
   */
  async *counts(pageSize: number, afterId: string): AsyncGenerator<number> {
    for await (const [after, last] of this.#ranges(pageSize, afterId)) {
      const { sql } = await this.#columns(this.#query, COLUMNS_MS_MAX);
      const rows = await this.#ask(
        `SELECT COUNT(*) AS eligible FROM (${sql.inRange}) AS everyone`,
        { after_id: sqlInteger(after), last_id: sqlInteger(last) },
        COUNT_MS_MAX,
      );
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
    const sql = nextIdSql(this.#db.model);
    let after = afterId;
    for (;;) {
      const rows = await this.#query(sql, {
        ...this.#parameters,
        after_id: sqlInteger(after),
        page_size: pageSize,
      });
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
    const { model } = this.#db;
    if (ids.length >= COUNTED_FROM) {
      const [counted] = await query(viewsCountSql(model), { ids }, LOOK_MS_MAX);
      // Of one that was asked for twice there is one row: then they are told apart.
      if (Number(counted?.['found']) === ids.length) return { has: () => true };
    }
    const rows = await query(viewsSql(model), { ids }, LOOK_MS_MAX);
    return new Set(rows.map((row) => String(row['id'])));
  }

  async #run(
    textOf: (sql: RuleSql) => string,
    parameters: Record<string, unknown>,
    timeoutMs?: number,
    query = this.#query,
  ): Promise<EligibleUser[]> {
    const { sql, toUser } = await this.#columns(query, COLUMNS_MS_MAX);
    return (await this.#ask(textOf(sql), parameters, timeoutMs, query)).map(toUser);
  }

  /** A statement that fails may do so for want of a column: the next one looks at them anew. */
  async #ask(
    sql: string,
    parameters: Record<string, unknown>,
    timeoutMs?: number,
    query = this.#query,
  ): Promise<Awaited<ReturnType<Query>>> {
    try {
      return await query(sql, { ...this.#parameters, ...parameters }, timeoutMs);
    } catch (error) {
      this.#prepared = null;
      throw error;
    }
  }

  /** By columns that were read at most so long ago. */
  async #columns(query: Query, ageMsMax: number): Promise<Prepared> {
    const readMs = performance.now();
    if (this.#prepared !== null && readMs - this.#prepared.readMs < ageMsMax) return this.#prepared;
    const { model, name } = this.#db;
    const { found } = await readTables((sql) => query(sql, {}, LOOK_MS_MAX), model);
    const grant = readGrant(this.#db);
    const lack = lackingTables(model, found, name, grant) ?? lackingColumns(model, found, grant);
    if (lack !== null) throw new UnavailableError(lack.detail, { todo: lack.fix });
    const fields = fieldsIn(model, found);
    const sql = ruleSql(model, fields);
    this.#prepared = { sql, toUser: userReader(fields, sql.aliasOf), readMs };
    return this.#prepared;
  }
}
