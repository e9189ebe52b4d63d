import { describe, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase, injectServices } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const everyone = async function* (): AsyncGenerator<number[]> {
  yield await Promise.resolve([901, 902, 903]);
};

const TEXT = "SET SESSION binlog_format = 'STATEMENT'; ";
const ANSI = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES'); ";

/** What is there before the capture begins, and what then happens. */
const SEEN_WHOLE: readonly [string, string, string][] = [
  ['a definition behind a comment', '', '-- why\nALTER TABLE customers MODIFY email VARCHAR(300)'],
  ['one behind a comment with #', '', '# why\nALTER TABLE customers MODIFY email VARCHAR(300)'],
  ['one within a comment', '', '/*!50000 ALTER TABLE customers MODIFY email VARCHAR(300) */'],
  [
    'names in double quotes',
    '',
    `${ANSI}ALTER TABLE /* x */ "customers" MODIFY "email" VARCHAR(300)`,
  ],
  [
    'a name given at the end',
    'CREATE TABLE fresh LIKE page_views',
    'DROP TABLE page_views; ALTER TABLE fresh ADD COLUMN x INT, RENAME TO page_views',
  ],
  [
    'a trigger that writes as text',
    'CREATE TABLE orders (id INT PRIMARY KEY); CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW UPDATE customers SET plan_type = 1',
    `${TEXT}INSERT INTO orders VALUES (1)`,
  ],
  [
    'a trigger of another database that writes as text',
    'CREATE DATABASE {other}; CREATE TABLE {other}.orders (id INT PRIMARY KEY); CREATE TRIGGER {other}.t AFTER INSERT ON {other}.orders FOR EACH ROW UPDATE {ours}.customers SET plan_type = 1',
    `${TEXT}INSERT INTO {other}.orders VALUES (1)`,
  ],
  [
    'a function that writes as text',
    'CREATE FUNCTION f() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN UPDATE customers SET plan_type = 1; RETURN 1; END',
    `${TEXT}SELECT f()`,
  ],
  [
    'a view that is written to as text',
    'CREATE VIEW people AS SELECT * FROM customers',
    `${TEXT}UPDATE people SET plan_type = 1 WHERE id = 1`,
  ],
  ['a table that is emptied', '', 'TRUNCATE page_views'],
];

describe.each(['mysql', 'mariadb'] as const)('on %s', (flavour) => {
  async function seeded(
    before: string,
  ): Promise<FreshDatabase & { fill: (sql: string) => string }> {
    const database = await freshDatabase(injectServices()[flavour]);
    const { connection, settings } = database;
    await setUpTables(connection);
    const fill = (sql: string): string =>
      sql.replaceAll('{ours}', settings.name).replaceAll('{other}', `${settings.name}_other`);
    if (before !== '') await connection.query(fill(before));
    return Object.assign(database, { fill });
  }

  // Guards readStatement: what is not understood, and may concern our tables, is looked at whole.
  test.each(SEEN_WHOLE)('everyone is looked at after %s', async (_, before, statement) => {
    await using database = await seeded(before);
    const publisher = new MemoryPublisher();
    await using capture = startCapture(database.settings, publisher, { eligibleUserIds: everyone });
    await capture.reads();
    await database.connection.query(database.fill(statement));
    await until(() => publisher.changes.length >= 3, 'a look at everyone', capture.done);
    await until(
      () => publisher.checkpoint?.['everyone'] === undefined,
      'the checkpoint',
      capture.done,
    );
    expect(capture.warnings.length).toBeGreaterThan(0);
    await database.connection.query(database.fill('DROP DATABASE IF EXISTS {other}'));
  });

  test('rows as text are refused, in double quotes too', async () => {
    await using database = await seeded('');
    const publisher = new MemoryPublisher();
    await using capture = startCapture(database.settings, publisher, { eligibleUserIds: everyone });
    await capture.reads();
    await database.connection.query(`${ANSI}${TEXT}UPDATE "customers" SET "plan_type" = 'pro'`);
    await expect(capture.done).rejects.toThrow('set binlog_format=ROW');
  });

  test('what concerns other tables makes no look at everyone', async () => {
    await using database = await seeded('CREATE DATABASE {other}');
    const publisher = new MemoryPublisher();
    await using capture = startCapture(database.settings, publisher, { eligibleUserIds: everyone });
    await capture.reads();
    const { connection, fill } = database;
    await connection.query(
      fill(`CREATE TABLE {other}.customers LIKE customers; ALTER TABLE {other}.customers ADD x INT;
        CREATE TABLE orders (id INT PRIMARY KEY, customers BIGINT, FOREIGN KEY (customers) REFERENCES customers (id));
        CREATE VIEW v AS SELECT * FROM customers; ANALYZE TABLE customers; DROP VIEW v;
        CREATE TEMPORARY TABLE page_views (id INT); DROP TEMPORARY TABLE page_views;
        ALTER TABLE orders COMMENT 'RENAME TO customers'; DROP TABLE orders`),
    );
    // MySQL says which databases a statement wrote to.
    if (flavour === 'mysql') {
      await connection.query(
        fill(`${TEXT}INSERT INTO {other}.customers (email) VALUES ('x@x.test')`),
      );
    }
    await connection.query("SET SESSION binlog_format = 'ROW'");
    await connection.query("INSERT INTO page_views (id, user_id, page) VALUES (900, 2, 'pricing')");
    await until(() => publisher.views.at(-1)?.['id'] === 900, 'the view', capture.done);
    expect(publisher.checkpoint?.['everyone']).toBeUndefined();
    expect(publisher.changes).toEqual([]);
    expect(capture.warnings).toEqual([]);
    await connection.query(fill('DROP DATABASE {other}'));
  });
});
