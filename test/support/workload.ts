import { readFile } from 'node:fs/promises';
import type { Connection } from 'mysql2/promise';

const SETUP = new URL('../../sql/database_setup.sql', import.meta.url);

/** The tables of sql/, with their seed, in the database that is selected. */
export async function setUpTables(connection: Connection): Promise<void> {
  await connection.query(await readFile(SETUP, 'utf8'));
}

/** mulberry32: a seed makes the same numbers everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Remembers every view that ever counted, with every address its user had. Rolled back rows leave
 * nothing here either, so an event of one is found to be a phantom.
 */
const SEEN = [
  'CREATE TABLE seen_views (id BIGINT NOT NULL, email VARCHAR(255) NOT NULL, PRIMARY KEY (id, email))',
  `CREATE TRIGGER seen_insert AFTER INSERT ON page_views FOR EACH ROW
     INSERT IGNORE INTO seen_views SELECT NEW.id, email FROM customers WHERE id = NEW.user_id AND NEW.page IN ('pricing','settings')`,
  `CREATE TRIGGER seen_update AFTER UPDATE ON page_views FOR EACH ROW
     INSERT IGNORE INTO seen_views SELECT NEW.id, email FROM customers WHERE id = NEW.user_id AND NEW.page IN ('pricing','settings')`,
  `CREATE TRIGGER seen_customer AFTER UPDATE ON customers FOR EACH ROW
     INSERT IGNORE INTO seen_views SELECT id, NEW.email FROM page_views WHERE user_id = NEW.id AND page IN ('pricing','settings')`,
  `INSERT IGNORE INTO seen_views SELECT pv.id, c.email FROM page_views pv JOIN customers c ON c.id = pv.user_id
     WHERE pv.page IN ('pricing','settings')`,
];

/** The tables, empty but for the seed, and what remembers the views. */
async function prepareTables(connection: Connection): Promise<void> {
  await setUpTables(connection);
  await connection.query(`ALTER TABLE page_views AUTO_INCREMENT = ${FIRST_VIEW}`);
  for (const statement of SEEN) await connection.query(statement);
}

const PLANS = ['free', 'basic', 'pro', 'pro', 'pro', 'enterprise'];
const PAGES = ['pricing', 'settings', 'pricing', 'settings', 'features', 'home', 'blog'];
const NAMES = ['Zoë', '😀 Ann', 'O\'Neil "x"', '李', null, 'Bob', '__proto__', '\u202ertl'];
const DEVICES = ['mobile', 'desktop', 'tablet', null];
const PLACES = ['Austin, TX', null, '東京', '<b>&', 'a\tb'];
/** Above 2^31, so that nothing counts in 32 bits. */
const FIRST_CUSTOMER = 3_000_000_001;
export const FIRST_VIEW = 5_000_000_001;

/** Told of the users that a transaction was about, once it is committed. */
export type OnCommit = (userIds: readonly string[]) => Promise<void>;

/** A random workload over some customers; every step is one transaction, or one rolled back. */
export class Workload {
  #connection: Connection;
  readonly #random: () => number;
  readonly #customers: number;
  readonly #onCommit: OnCommit;
  readonly #prepare: (connection: Connection) => Promise<void>;
  readonly #touched = new Set<number>();
  #emails = 0;
  #viewsInserted = 0;
  /** Page views that committed transactions inserted. */
  viewsCommitted = 0;

  constructor(
    connection: Connection,
    seed: number,
    customers: number,
    onCommit: OnCommit = () => Promise.resolve(),
    prepare = prepareTables,
  ) {
    this.#connection = connection;
    this.#random = randomFrom(seed);
    this.#customers = customers;
    this.#onCommit = onCommit;
    this.#prepare = prepare;
  }

  async setUp(): Promise<void> {
    await this.#prepare(this.#connection);
    for (let i = 0; i < this.#customers; i++) {
      await this.#sql(
        'INSERT INTO customers (id, email, first_name, last_name, plan_type, candidate) VALUES (?, ?, ?, ?, ?, ?)',
        [
          FIRST_CUSTOMER + i,
          this.#email(),
          this.#of(NAMES),
          this.#of(NAMES),
          this.#of(PLANS),
          this.#of(NAMES),
        ],
      );
    }
    await this.#noteEveryone();
  }

  /** Goes on over another connection; whether the last transaction was committed is seen there. */
  async goOn(connection: Connection): Promise<void> {
    this.#connection = connection;
    await this.#noteEveryone();
  }

  async steps(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.#step();
  }

  async #step(): Promise<void> {
    const rollsBack = this.#random() < 0.08;
    this.#touched.clear();
    this.#viewsInserted = 0;
    await this.#connection.beginTransaction();
    const statements = this.#random() < 0.2 ? 3 : 1;
    for (let i = 0; i < statements; i++) await this.#statement();
    if (rollsBack) return await this.#connection.rollback();
    await this.#connection.commit();
    this.viewsCommitted += this.#viewsInserted;
    await this.#onCommit([...this.#touched].map(String));
  }

  async #statement(): Promise<void> {
    const dice = this.#random();
    if (dice < 0.6) return await this.#insertViews(this.#random() < 0.2 ? 5 : 1);
    if (dice < 0.75) {
      return await this.#sql('UPDATE customers SET plan_type = ? WHERE id = ?', [
        this.#of(PLANS),
        this.#customer(),
      ]);
    }
    if (dice < 0.83) {
      return await this.#sql('UPDATE customers SET first_name = ?, candidate = ? WHERE id = ?', [
        this.#of(NAMES),
        this.#of(NAMES),
        this.#customer(),
      ]);
    }
    if (dice < 0.86) {
      return await this.#sql('UPDATE customers SET email = ? WHERE id = ?', [
        this.#email(),
        this.#customer(),
      ]);
    }
    if (dice < 0.92) {
      return await this.#sql(
        'UPDATE page_views SET page = ?, event_time = event_time - INTERVAL ? HOUR WHERE user_id = ? ORDER BY id DESC LIMIT 2',
        [this.#of(PAGES), Math.floor(this.#random() * 3), this.#customer()],
      );
    }
    if (dice < 0.95) {
      return await this.#sql(
        'UPDATE page_views SET user_id = ? WHERE user_id = ? ORDER BY id LIMIT 1',
        [this.#customer(), this.#customer()],
      );
    }
    await this.#sql('DELETE FROM page_views WHERE user_id = ? ORDER BY id DESC LIMIT 2', [
      this.#customer(),
    ]);
  }

  /** Late ones, equal times, and some too old to count. */
  async #insertViews(count: number): Promise<void> {
    const rows = Array.from({ length: count }, () => [
      this.#customer(),
      this.#of(PAGES),
      this.#of(DEVICES),
      'Chrome',
      this.#of(PLACES),
    ]);
    this.#viewsInserted += count;
    const agoMinutes = this.#of([0, 0, 0, 5, 5, 60, 24 * 60, 6 * 24 * 60, 9 * 24 * 60]);
    await this.#sql(
      `INSERT INTO page_views (user_id, page, device, browser, location, event_time)
       VALUES ${rows.map(() => '(?, ?, ?, ?, ?, NOW() - INTERVAL ? MINUTE)').join(', ')}`,
      rows.flatMap((row) => [...row, agoMinutes]),
    );
  }

  async #noteEveryone(): Promise<void> {
    const [rows] = await this.#connection.query('SELECT id FROM customers');
    await this.#onCommit((rows as { id: number | string }[]).map(({ id }) => String(id)));
  }

  #customer(): number {
    const id = FIRST_CUSTOMER + Math.floor(this.#random() * this.#customers);
    this.#touched.add(id);
    return id;
  }

  #email(): string {
    this.#emails += 1;
    return `User.${this.#emails}+tag@Example.com`;
  }

  #of<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T;
  }

  async #sql(sql: string, values: readonly unknown[] = []): Promise<void> {
    await this.#connection.query(sql, [...values]);
  }
}
