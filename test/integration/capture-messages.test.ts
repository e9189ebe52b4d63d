import { readFileSync } from 'node:fs';
import type { ResultSetHeader } from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { DATABASES, freshDatabase, injectServices } from '../support/services.ts';
import type { FreshDatabase } from '../support/services.ts';
import { MemoryPublisher, NAMES, startCapture, until } from './capture-support.ts';

const SETUP = readFileSync(new URL('../../sql/database_setup.sql', import.meta.url), 'utf8');

describe.each(DATABASES)('capture on %s', (flavour) => {
  /** Tables with seed data, and a capture that streams what comes after. */
  async function streaming(setup = SETUP, timeZone = '+00:00') {
    const database = await freshDatabase(injectServices()[flavour]);
    await database.connection.query(setup);
    const publisher = new MemoryPublisher();
    const db = { ...database.settings, timeZone };
    const capture = startCapture(db, publisher);
    await capture.reaches('streaming');
    await until(() => publisher.checkpoint !== null, 'the first checkpoint', capture.done);
    return {
      database,
      publisher,
      capture,
      query: (sql: string) => database.connection.query(sql),
      /** Publishes a marker last, so that all before it has been seen. */
      settled: async () => {
        const [inserted] = await database.connection.query(
          "INSERT INTO customers (email) VALUES (CONCAT('end', UUID()))",
        );
        const { insertId } = inserted as ResultSetHeader;
        const marker = `{"user_id":${insertId},"cause":"customers.insert"}`;
        await until(() => publisher.changes.at(-1) === marker, 'the marker', capture.done);
        publisher.messages.pop();
      },
      [Symbol.asyncDispose]: async () => {
        await capture[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      },
    };
  }

  const gtid = flavour === 'mysql' ? /^[0-9a-f-]{36}:\d+$/ : /^\d+-\d+-\d+$/;

  /** What MySQL's GTIDs make needless: which server's log it is, and where. */
  const inLog =
    flavour === 'mysql'
      ? {}
      : { log_position: expect.stringMatching(/^.+\/binlog\.\d{6}:\d+$/) as string };

  test('an inserted page view is one message, as the contract has it', async () => {
    await using t = await streaming();
    const beforeMs = Date.now();
    await t.query(
      "INSERT INTO page_views (id, user_id, page, device, browser, location, event_time) VALUES (123, 7, 'pricing', 'mobile', 'Chrome', 'Austin, TX', '2026-01-13 14:30:45')",
    );
    const afterMs = Date.now();
    await t.settled();
    expect(t.publisher.messages).toEqual([
      {
        topic: 'page_views',
        key: '7',
        value:
          '{"id":123,"user_id":7,"page":"pricing","device":"mobile","browser":"Chrome","location":"Austin, TX","event_time":"2026-01-13T14:30:45Z"}',
        timestampMs: expect.any(Number) as number,
        headers: {
          schema: 'page_view/1',
          position: expect.stringMatching(gtid) as string,
          ...inLog,
        },
      },
    ]);
    const at = t.publisher.messages[0]?.timestampMs ?? 0;
    // MariaDB's log has whole seconds: there it is the time of capture within that second.
    const slackMs = flavour === 'mysql' ? 0 : 1_000;
    expect(at).toBeGreaterThanOrEqual(beforeMs - slackMs);
    expect(at).toBeLessThanOrEqual(afterMs + slackMs);
  });

  test('every other change names the users to look at again, and why', async () => {
    await using t = await streaming();
    await t.query("INSERT INTO customers (id, email) VALUES (50, 'new@x.test')");
    await t.query("UPDATE customers SET plan_type = 'pro' WHERE id IN (4, 5)");
    await t.query("UPDATE page_views SET page = 'blog' WHERE id = 4");
    await t.query('UPDATE page_views SET user_id = 6 WHERE id = 7');
    await t.query('DELETE FROM page_views WHERE id = 1');
    await t.query('DELETE FROM customers WHERE id = 50');
    await t.query('UPDATE customers SET id = 51 WHERE id = 10');
    await t.settled();
    expect(t.publisher.views).toEqual([]);
    expect(t.publisher.changes).toEqual([
      '{"user_id":50,"cause":"customers.insert"}',
      '{"user_id":4,"cause":"customers.update"}',
      '{"user_id":5,"cause":"customers.update"}',
      '{"user_id":2,"cause":"page_views.update"}',
      '{"user_id":6,"cause":"page_views.update"}',
      '{"user_id":5,"cause":"page_views.update"}',
      '{"user_id":1,"cause":"page_views.delete"}',
      '{"user_id":50,"cause":"customers.delete"}',
      '{"user_id":51,"cause":"customers.update"}',
      '{"user_id":10,"cause":"customers.update"}',
    ]);
    for (const { key, value, headers } of t.publisher.of(NAMES.userChanges)) {
      expect(key).toBe(String((JSON.parse(value) as { user_id: number }).user_id));
      expect(headers).toEqual({
        schema: 'user_change/1',
        position: expect.stringMatching(gtid) as string,
        ...inLog,
      });
    }
  });

  test('NULLs, emoji, quotes, and ids above 2^53 arrive to the digit', async () => {
    await using t = await streaming();
    await t.query("INSERT INTO customers (id, email) VALUES (9007199254740993, 'big@x.test')");
    await t.query(
      `INSERT INTO page_views (id, user_id, page, device, browser, location, event_time) VALUES
       (9223372036854775806, 9007199254740993, 'home', NULL, NULL, NULL, '2026-07-01 00:00:00'),
       (4294967297, 9007199254740993, 'blog', 'tablet', 'say "hi"\\\\ \\n', 'São Paulo 🚀 日本', '2026-07-01 23:59:59')`,
    );
    await until(() => t.publisher.views.length === 2, 'two views', t.capture.done);
    const [first, second] = t.publisher.of(NAMES.pageViews);
    expect(first?.key).toBe('9007199254740993');
    expect(first?.value).toBe(
      '{"id":"9223372036854775806","user_id":"9007199254740993","page":"home","device":null,"browser":null,"location":null,"event_time":"2026-07-01T00:00:00Z"}',
    );
    expect(JSON.parse(second?.value ?? '')).toEqual({
      id: 4294967297,
      user_id: '9007199254740993',
      page: 'blog',
      device: 'tablet',
      browser: 'say "hi"\\ \n',
      location: 'São Paulo 🚀 日本',
      event_time: '2026-07-01T23:59:59Z',
    });
  });

  test('other spellings of the tables are read too: unsigned ids, latin1, DATETIME, more columns', async () => {
    const setup = `
      CREATE TABLE customers (ID INT UNSIGNED PRIMARY KEY, email VARCHAR(255), first_name VARCHAR(9), last_name VARCHAR(9), plan_type VARCHAR(10), candidate VARCHAR(9));
      CREATE TABLE page_views (note TEXT, ID BIGINT UNSIGNED PRIMARY KEY, User_ID INT UNSIGNED, page VARCHAR(20), device CHAR(8), browser VARCHAR(40) CHARACTER SET latin1, location VARCHAR(40) CHARACTER SET utf16, event_time DATETIME(3), extra JSON)`;
    await using t = await streaming(setup, '+02:00');
    await t.query(
      "INSERT INTO page_views VALUES ('x', 18446744073709551615, 4294967295, 'pricing', 'mobile', 'Zoë €', 'naïve 🚀', '2026-07-01 12:00:00.999', '{}'), ('y', 1, NULL, 'home', NULL, NULL, NULL, NULL, NULL), ('z', 2, 3, 'home', NULL, NULL, NULL, NULL, NULL)",
    );
    await until(() => t.publisher.views.length === 2, 'two views', t.capture.done);
    expect(t.publisher.views[0]).toEqual({
      id: '18446744073709551615',
      user_id: 4294967295,
      page: 'pricing',
      device: 'mobile',
      browser: 'Zoë €',
      location: 'naïve 🚀',
      event_time: '2026-07-01T10:00:00Z',
    });
    expect(t.publisher.views[1]).toMatchObject({ id: 2, event_time: null });
  });

  test('rolled back transactions never show, and one that commits shows in its order', async () => {
    await using t = await streaming();
    await t.query('START TRANSACTION');
    await t.query("INSERT INTO page_views (user_id, page) VALUES (1, 'home')");
    await t.query('ROLLBACK');
    await t.query('START TRANSACTION');
    await t.query("INSERT INTO page_views (id, user_id, page) VALUES (100, 1, 'home')");
    await t.query('SAVEPOINT a');
    await t.query("INSERT INTO page_views (id, user_id, page) VALUES (101, 1, 'blog')");
    await t.query('ROLLBACK TO SAVEPOINT a');
    await t.query("UPDATE customers SET first_name = 'S' WHERE id = 1");
    await t.query(
      "INSERT INTO page_views (id, user_id, page) VALUES (102, 2, 'home'), (103, 1, 'features')",
    );
    await t.query('COMMIT');
    await t.settled();
    expect(t.publisher.messages.map(({ value }) => value.slice(0, 40))).toEqual([
      expect.stringContaining('"id":100') as string,
      expect.stringContaining('customers.up') as string,
      expect.stringContaining('"id":102') as string,
      expect.stringContaining('"id":103') as string,
    ]);
    const positions = new Set(t.publisher.messages.map(({ headers }) => headers['position']));
    expect(positions.size).toBe(1);
  });

  test('tables of other databases, and other tables, are not captured', async () => {
    await using t = await streaming();
    await using other: FreshDatabase = await freshDatabase(injectServices()[flavour]);
    await other.connection.query(SETUP);
    await t.query('CREATE TABLE page_views_old LIKE page_views');
    await t.query('INSERT INTO page_views_old SELECT * FROM page_views');
    await t.settled();
    expect(t.publisher.messages).toEqual([]);
    expect(t.capture.warnings).toEqual([]);
  });

  test('a prepared XA transaction shows when it is committed, and never when rolled back', async () => {
    await using t = await streaming();
    const xa = async (name: string, id: number, decision: string): Promise<void> => {
      await t.query(`XA START '${name}'`);
      await t.query(`INSERT INTO page_views (id, user_id, page) VALUES (${id}, 1, 'home')`);
      await t.query(`XA END '${name}'`);
      if (!decision.includes('ONE PHASE')) await t.query(`XA PREPARE '${name}'`);
      await t.query(decision);
    };
    await xa('lost', 200, "XA ROLLBACK 'lost'");
    await xa('one', 201, "XA COMMIT 'one' ONE PHASE");
    await t.query("XA START 'late'");
    await t.query("INSERT INTO page_views (id, user_id, page) VALUES (202, 1, 'home')");
    await t.query("XA END 'late'");
    await t.query("XA PREPARE 'late'");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(t.publisher.views.map(({ id }) => id)).toEqual([201]);
    const preparedAt = t.publisher.checkpoint;
    await t.query("XA COMMIT 'late'");
    await t.settled();
    expect(t.publisher.views.map(({ id }) => id)).toEqual([201, 202]);
    await until(
      () => t.publisher.checkpoint?.['gtidSet'] !== preparedAt?.['gtidSet'],
      'a checkpoint after the commit',
    );
  });

  test('TRUNCATE and changed definitions are warned of, and the stream goes on', async () => {
    await using t = await streaming();
    await t.query('TRUNCATE TABLE page_views');
    await t.query('ALTER TABLE page_views ADD COLUMN note VARCHAR(10) FIRST');
    await t.query(
      "INSERT INTO page_views (note, id, user_id, page) VALUES ('n', 300, 2, 'settings')",
    );
    await t.query('ALTER TABLE page_views DROP COLUMN note, MODIFY location TEXT');
    await t.query(
      "INSERT INTO page_views (id, user_id, page, location) VALUES (301, 2, 'home', 'L')",
    );
    await t.settled();
    expect(t.publisher.views.map(({ id, location }) => [id, location])).toEqual([
      [300, null],
      [301, 'L'],
    ]);
    expect(t.capture.warnings).toEqual([
      expect.stringContaining('truncated') as string,
      expect.stringContaining('definition') as string,
      expect.stringContaining('definition') as string,
    ]);
  });

  test('what is counted is what was published, by kind', async () => {
    await using t = await streaming();
    await t.query("UPDATE customers SET plan_type = 'pro' WHERE id IN (4, 5)");
    await t.query("INSERT INTO page_views (user_id, page) VALUES (1, 'home'), (2, 'home')");
    await t.settled();
    expect(t.capture.status().capturedRows).toEqual({
      'customers.update': 2,
      'page_views.insert': 2,
      'customers.insert': 1,
    });
    expect(t.capture.status().positionAgeSeconds).toBeLessThan(5);
    expect(t.capture.status().position).not.toBeNull();
  });
});
