import { describe, expect, test } from 'vitest';
import { DATABASES, freshDatabase, injectServices, startOwnMysql } from '../support/services.ts';
import type { FreshDatabase } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const insert = (...ids: number[]): string =>
  `INSERT INTO page_views (id, user_id, page) VALUES ${ids.map((id) => `(${id}, 1, 'home')`).join()}`;

/** A capture of tables that are set up so, and what runs statements there. */
async function capturing(server: Parameters<typeof freshDatabase>[0], setUp: string[] = []) {
  const database: FreshDatabase = await freshDatabase(server);
  const { connection } = database;
  await setUpTables(connection);
  const query = (sql: string): Promise<unknown> => connection.query(sql);
  for (const sql of setUp) await query(sql);
  const publisher = new MemoryPublisher();
  const capture = startCapture(database.settings, publisher);
  await capture.reads();
  const ids = () => publisher.views.map(({ id }) => id);
  return {
    database,
    publisher,
    capture,
    query,
    isRefused: (sql: string) => expect(query(sql)).rejects.toThrow('Duplicate entry'),
    ids,
    /** The views of the topic once this last one is there. */
    idsWith: async (last: number) => {
      await query(insert(last));
      await until(() => ids().includes(last), `the view ${last}`, capture.done);
      return ids().filter((id) => id !== last);
    },
    inTable: async () => {
      const [rows] = await connection.query(
        'SELECT id FROM page_views WHERE id >= 100 ORDER BY id',
      );
      return (rows as { id: number }[]).map(({ id }) => id);
    },
    [Symbol.asyncDispose]: async () => {
      await capture[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

describe.each(DATABASES)('capture on %s', (flavour) => {
  const server = () => injectServices()[flavour];

  // Guards HeldRows.take at ROLLBACK: MariaDB logs this transaction with its rows.
  test('shows no row of a transaction that is rolled back, with a temporary table in it', async () => {
    await using t = await capturing(server());
    await t.query('START TRANSACTION');
    await t.query('CREATE TEMPORARY TABLE scratch (id INT)');
    await t.query(insert(100));
    await t.query("UPDATE customers SET first_name = 'S' WHERE id = 1");
    await t.query('ROLLBACK');
    expect(await t.idsWith(101)).toEqual([]);
    expect(t.publisher.changes).toEqual([]);
    expect(t.capture.warnings).toEqual([]);
    expect(t.capture.status().capturedRows).toEqual({ 'page_views.insert': 1 });
  });

  // Guards HeldRows.rollBackTo: MariaDB logs the rows, and then that they do not count.
  test('shows no row that is rolled back to a savepoint, with a temporary table in it', async () => {
    await using t = await capturing(server(), ['CREATE TEMPORARY TABLE scratch (id INT)']);
    await t.query('START TRANSACTION');
    await t.query('SAVEPOINT first');
    await t.query(insert(100));
    await t.query('SAVEPOINT `the second`');
    await t.query('DROP TEMPORARY TABLE scratch');
    await t.query(insert(101));
    await t.query('ROLLBACK TO SAVEPOINT `THE second`');
    await t.query(insert(102));
    await t.query('COMMIT');
    await t.query('START TRANSACTION');
    await t.query('SAVEPOINT s');
    await t.query('CREATE TEMPORARY TABLE scratch (id INT)');
    await t.query(insert(103));
    await t.query('ROLLBACK TO s');
    await t.query('SAVEPOINT s');
    await t.query(insert(104));
    await t.query('RELEASE SAVEPOINT s');
    await t.query('COMMIT');
    expect(await t.idsWith(105)).toEqual([100, 102, 104]);
  });

  test('shows nothing of a statement that fails within a transaction that commits', async () => {
    await using t = await capturing(server());
    await t.query('START TRANSACTION');
    await t.query(insert(100));
    await t.isRefused(insert(101, 100, 102));
    await t.query(insert(103));
    await t.query('COMMIT');
    await t.isRefused(insert(104, 103));
    expect(await t.idsWith(105)).toEqual([100, 103]);
  });

  // Guards the order of rules in TransactionBuffer: what a table without transactions keeps is never lost.
  test('shows what a table without transactions keeps, though the rest is rolled back', async () => {
    await using t = await capturing(server(), [
      'CREATE TABLE safe (id INT PRIMARY KEY)',
      'CREATE TABLE copy LIKE page_views',
      'DROP TABLE page_views',
      'RENAME TABLE copy TO page_views',
      'ALTER TABLE page_views ENGINE = MyISAM',
    ]);
    await t.isRefused(insert(100, 101, 100, 102));
    if (flavour !== 'mysql') {
      await t.query('START TRANSACTION');
      await t.query('CREATE TEMPORARY TABLE scratch (id INT)');
      await t.query('INSERT INTO safe VALUES (1)');
      await t.query('SAVEPOINT s');
      await t.query(insert(110));
      await t.query('INSERT INTO safe VALUES (2)');
      await t.query('ROLLBACK TO s');
      await t.isRefused(insert(111, 110, 112));
      await t.query('ROLLBACK');
    }
    const views = await t.idsWith(120);
    expect(views).toEqual((await t.inTable()).filter((id) => id !== 120));
    expect(views.length).toBeGreaterThan(1);
  });

  test('a prepared XA transaction with savepoints shows what it commits', async () => {
    await using t = await capturing(server());
    await t.query("XA START 'x'");
    await t.query(insert(100));
    await t.query('SAVEPOINT s').catch(() => undefined);
    await t.isRefused(insert(101, 100));
    await t.query(insert(102));
    await t.query("XA END 'x'");
    await t.query("XA PREPARE 'x'");
    await t.query("XA COMMIT 'x'");
    expect(await t.idsWith(103)).toEqual([100, 102]);
  });

  // Guards the rows-as-text of readStatement. MIXED writes text where the statement is safe.
  test('with MIXED, takes what a session writes as rows, and ends at what it writes as text', async () => {
    await using t = await capturing(server(), ['CREATE TABLE copy LIKE customers']);
    await t.query("SET SESSION binlog_format = 'MIXED'");
    await t.query('UPDATE customers SET first_name = UUID() WHERE id = 1');
    await until(() => t.publisher.changes.length === 1, 'the change', t.capture.done);
    await t.query('RENAME TABLE customers TO away, copy TO customers');
    await t.query("INSERT INTO customers (id, email) VALUES (900, 'mixed@x.test')");
    await expect(t.capture.done).rejects.toThrow('set binlog_format=ROW');
  });
});

describe.concurrent('capture on a MySQL whose settings are changed online', () => {
  test.each([
    ['binlog_row_image', 'MINIMAL', 'set binlog_row_image=FULL'],
    ['binlog_transaction_compression', 'ON', 'set binlog_transaction_compression=OFF'],
    ['binlog_row_value_options', 'PARTIAL_JSON', 'set binlog_row_value_options'],
    ['binlog_format', 'STATEMENT', 'set binlog_format=ROW'],
  ])(
    '%s=%s: ends in words that say what to do',
    { timeout: 60_000 },
    async (name, value, words) => {
      await using server = await startOwnMysql();
      await using t = await capturing(server, ['ALTER TABLE page_views ADD COLUMN extra JSON']);
      await t.query(
        `INSERT INTO page_views (id, user_id, page, extra) VALUES (100, 1, 'home', '{"a": "${'x'.repeat(500)}", "b": 1}')`,
      );
      await t.query(`SET GLOBAL ${name} = '${value}'`);
      // Sessions take it when they begin.
      await t.query(`SET SESSION ${name} = '${value}'`).catch(() => undefined);
      await t.query("UPDATE page_views SET extra = JSON_SET(extra, '$.b', 2) WHERE id = 100");
      await expect(t.capture.done).rejects.toThrow(words);
      expect(t.ids()).toEqual([100]);
    },
  );

  // Guards the memory of RawEvents.#know: the definition was named, and is still the same.
  test(
    'binlog_row_metadata=MINIMAL: rows are right, or capture ends',
    { timeout: 60_000 },
    async () => {
      await using server = await startOwnMysql();
      await using t = await capturing(server);
      await t.query(insert(100));
      await until(() => t.ids().includes(100), 'the view', t.capture.done);
      await t.query('SET GLOBAL binlog_row_metadata = MINIMAL');
      await t.query(insert(101));
      await until(() => t.ids().includes(101), 'the view', t.capture.done);
      expect(t.publisher.views[1]).toEqual({ ...t.publisher.views[0], id: 101 });
      await t.query('ALTER TABLE page_views MODIFY browser TEXT FIRST');
      await t.query(insert(102));
      await expect(t.capture.done).rejects.toThrow('set binlog_row_metadata=FULL');
    },
  );

  const MODES = ['ON_PERMISSIVE', 'OFF_PERMISSIVE', 'OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'];

  test(
    'gtid_mode off and on again, step by step: no row is lost, while capture runs and when it starts',
    { timeout: 90_000 },
    async () => {
      await using server = await startOwnMysql();
      await using database = await freshDatabase(server);
      const { connection, settings } = database;
      await setUpTables(connection);
      const publisher = new MemoryPublisher();
      const start = () =>
        startCapture(settings, publisher, {
          eligibleUserIds: async function* () {
            yield await Promise.resolve([1, 2, 3]);
          },
        });
      const ids = () => new Set(publisher.views.map(({ id }) => id));
      let capture = start();
      await capture.reaches('streaming');
      await connection.query(insert(100));
      await until(() => ids().has(100), 'the first view', capture.done);
      let id = 100;
      for (const mode of MODES) {
        await connection.query(`SET GLOBAL gtid_mode = ${mode}`);
        await connection.query(insert((id += 1)));
        const running = id;
        await until(() => ids().has(running), `the view ${running} in ${mode}`, capture.done);
        await capture.stop();
        await connection.query(insert((id += 1)));
        const before = publisher.changes.length;
        capture = start();
        const missed = id;
        await until(
          () => ids().has(missed) || publisher.changes.length >= before + 3,
          `the view ${missed}, or a look at everyone, in ${mode}`,
          capture.done,
        );
        await capture.reaches('streaming');
        // Only the step that leaves ON makes the saved position useless.
        expect(ids().has(missed)).toBe(mode !== 'ON_PERMISSIVE' || id > 104);
      }
      await capture.stop();
    },
  );
});
