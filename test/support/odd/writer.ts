import type { Connection } from 'mysql2/promise';
import type { DatabaseKind } from '../../../tools/services/services.ts';
import type { OtherColumn } from './columns.ts';
import type { Dice } from './dice.ts';
import type { OddTables } from './tables.ts';

const PLANS = ['free', 'basic', 'pro', 'pro', 'pro', 'enterprise'];
const PAGES = ['pricing', 'settings', 'pricing', 'settings', 'features', 'home', 'blog'];
const DEVICES = ['mobile', 'desktop', null];
const AGO_MINUTES = [0, 0, 1, 5, 60, 24 * 60, 6 * 24 * 60, 9 * 24 * 60];
const FIRST_CUSTOMERS = 6;
const ACCOUNTS = 3;

type Step = () => Promise<void>;

/** An application that writes to the tables of one case; each step is committed when it ends. */
export class OddWriter {
  readonly #connection: Connection;
  readonly #dice: Dice;
  readonly #kind: DatabaseKind;
  readonly #tables: OddTables;
  readonly #hold: (() => Promise<void>) | null;
  #customers = 0;
  #emails = 0;
  #added = 0;

  /** `hold` has the next commit seen late; null: none is. */
  constructor(
    connection: Connection,
    dice: Dice,
    kind: DatabaseKind,
    tables: OddTables,
    hold: (() => Promise<void>) | null,
  ) {
    this.#connection = connection;
    this.#dice = dice;
    this.#kind = kind;
    this.#tables = tables;
    this.#hold = hold;
  }

  async setUp(): Promise<void> {
    for (const sql of this.#tables.setUp) await this.#sql(sql);
    if (this.#tables.hasAccounts) await this.#addAccounts();
    for (let i = 0; i < FIRST_CUSTOMERS; i++) await this.#addCustomer();
    for (let i = 0; i < FIRST_CUSTOMERS; i++) await this.#addViews();
    await this.#sql('COMMIT');
  }

  /** One transaction: of one statement or of three, committed or rolled back; or a DDL. */
  async step(): Promise<void> {
    if (this.#dice.chance(0.04)) return await this.#ddl();
    const count = this.#dice.chance(0.2) ? 3 : 1;
    const isRolledBack = this.#dice.chance(0.06);
    if (this.#hold !== null && this.#dice.chance(0.08)) await this.#hold();
    await this.#sql('START TRANSACTION');
    for (let i = 0; i < count; i++) await this.#dice.of(this.#steps())();
    await this.#sql(isRolledBack ? 'ROLLBACK' : 'COMMIT');
  }

  #steps(): readonly Step[] {
    const view = (): Promise<void> => this.#addViews();
    const usual: Step[] = [
      view,
      view,
      view,
      view,
      view,
      view,
      () => this.#plan(),
      () => this.#plan(),
    ];
    return [
      ...usual,
      () => this.#rename(),
      () =>
        this.#sql('UPDATE page_views SET page = ? WHERE user_id = ?', [this.#page(), this.#id()]),
      () =>
        this.#sql('DELETE FROM page_views WHERE user_id = ? ORDER BY id DESC LIMIT 2', [
          this.#id(),
        ]),
      () => this.#sql('UPDATE customers SET email = ? WHERE id = ?', [this.#email(), this.#id()]),
      () =>
        this.#sql(
          'UPDATE customers c JOIN page_views v ON v.user_id = c.id SET c.plan_type = ?, v.page = ? WHERE c.id = ?',
          [this.#plan1(), this.#page(), this.#id()],
        ),
      () => this.#addCustomer(),
      () => this.#deleteCustomer(),
      ...(this.#tables.hasAccounts ? [() => this.#replaceAccount()] : []),
    ];
  }

  async #addViews(): Promise<void> {
    const { others, texts, hasAccounts } = this.#tables;
    const extra = written(others.page_views);
    const rows = this.#dice.chance(0.2) ? 3 : 1;
    const values: (string | number | null)[] = [];
    const places = Array.from({ length: rows }, () => {
      const { browser, location } = texts;
      const row = [this.#id(), this.#page(), this.#dice.of(DEVICES)];
      values.push(...row, this.#dice.of([...browser, null]), this.#dice.of([...location, null]));
      values.push(this.#dice.of(AGO_MINUTES));
      const ofOthers = extra.map(({ values: some }) => `, ${this.#dice.of(some)}`).join('');
      const ofAccount = hasAccounts ? `, ${this.#account()}` : '';
      return `(?, ?, ?, ?, ?, NOW() - INTERVAL ? MINUTE${ofOthers}${ofAccount})`;
    });
    const names = ['user_id', 'page', 'device', 'browser', 'location', 'event_time'];
    const columns = [...names, ...extra.map(({ name }) => name)];
    if (hasAccounts) columns.push('account_id');
    await this.#sql(
      `INSERT INTO page_views (${columns.join(', ')}) VALUES ${places.join(', ')}`,
      values,
    );
  }

  async #addCustomer(): Promise<void> {
    const { others, texts, hasAccounts } = this.#tables;
    const extra = written(others.customers);
    const names = ['id', 'email', 'first_name', 'last_name', 'candidate', 'plan_type'];
    const columns = [...names, ...extra.map(({ name }) => name)];
    const holders = [...names.map(() => '?'), ...extra.map(({ values }) => this.#dice.of(values))];
    if (hasAccounts) {
      columns.push('account_id');
      holders.push(this.#account());
    }
    const id = this.#tables.firstCustomer + BigInt(this.#customers);
    this.#customers += 1;
    await this.#sql(
      `INSERT INTO customers (${columns.join(', ')}) VALUES (${holders.join(', ')})`,
      [
        String(id),
        this.#email(),
        this.#dice.of([...texts.first_name, null]),
        this.#dice.of([...texts.last_name, null]),
        this.#dice.of([...texts.candidate, null]),
        this.#plan1(),
      ],
    );
  }

  async #deleteCustomer(): Promise<void> {
    const id = this.#id();
    if (!this.#tables.cascades) await this.#sql('DELETE FROM page_views WHERE user_id = ?', [id]);
    await this.#sql('DELETE FROM customers WHERE id = ?', [id]);
  }

  /** Accounts come and go, and their customers with them. */
  async #replaceAccount(): Promise<void> {
    await this.#sql(`DELETE FROM accounts WHERE id = ${this.#account()}`);
    await this.#addAccounts();
  }

  async #addAccounts(): Promise<void> {
    await this.#sql('INSERT IGNORE INTO accounts (id) VALUES (1), (2), (3)');
  }

  #plan(): Promise<void> {
    return this.#sql('UPDATE customers SET plan_type = ? WHERE id = ?', [
      this.#plan1(),
      this.#id(),
    ]);
  }

  #rename(): Promise<void> {
    const { first_name: first, candidate } = this.#tables.texts;
    return this.#sql('UPDATE customers SET first_name = ?, candidate = ? WHERE id = ?', [
      this.#dice.of(first),
      this.#dice.of(candidate),
      this.#id(),
    ]);
  }

  /** Whether the server does it or refuses it, the rule's answer is what the tables then say. */
  async #ddl(): Promise<void> {
    this.#added += 1;
    const place = this.#dice.of(['FIRST', 'AFTER page', '']);
    const table = this.#dice.of(['customers', 'page_views']);
    const sql = this.#dice.of([
      `ALTER TABLE ${table} ADD COLUMN added_${this.#added} VARCHAR(10) NULL ${table === 'customers' ? 'FIRST' : place}`,
      `ALTER TABLE ${table} DROP COLUMN added_${this.#added - 1}`,
      `ALTER TABLE page_views MODIFY location VARCHAR(200) CHARACTER SET utf8mb4`,
      `ALTER TABLE ${table} FORCE`,
      `CREATE INDEX added_${this.#added} ON page_views (event_time)`,
      `ANALYZE TABLE ${table}`,
      `OPTIMIZE TABLE ${table}`,
      `-- a remark\nALTER TABLE ${table} COMMENT = 'changed'`,
      'TRUNCATE TABLE page_views',
      `RENAME TABLE page_views TO aside, aside TO page_views`,
      ...(this.#kind === 'mysql' ? [] : ['CREATE OR REPLACE SEQUENCE counter']),
    ]);
    await this.#connection.query(sql).catch((error: unknown) => {
      if (isLockTimeout(error)) throw error;
    });
  }

  #id(): string {
    return String(this.#tables.firstCustomer + BigInt(this.#dice.below(this.#customers)));
  }

  #account(): string {
    return String(1 + this.#dice.below(ACCOUNTS));
  }

  #page(): string {
    return this.#dice.of(PAGES);
  }

  #plan1(): string {
    return this.#dice.of(PLANS);
  }

  #email(): string {
    this.#emails += 1;
    return `User.${this.#emails}@Example.com`;
  }

  /** What a foreign key or a narrow column refuses changes nothing. */
  async #sql(sql: string, values: readonly (string | number | null)[] = []): Promise<void> {
    // Prepared: what is escaped by the client is read otherwise in some sessions.
    const done =
      values.length === 0
        ? this.#connection.query(sql)
        : this.#connection.execute(sql, [...values]);
    await done.catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
    });
  }
}

const written = (columns: readonly OtherColumn[]): { name: string; values: readonly string[] }[] =>
  columns.flatMap(({ name, values }) => (values === null ? [] : [{ name, values }]));

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code);

const isLockTimeout = (error: unknown): boolean => codeOf(error) === 'ER_LOCK_WAIT_TIMEOUT';

const isRefusal = (error: unknown): boolean =>
  /^ER_(NO_REFERENCED_ROW|ROW_IS_REFERENCED|DUP_ENTRY)/.test(codeOf(error));
