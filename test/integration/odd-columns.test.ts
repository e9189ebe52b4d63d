import { describe, expect, test } from 'vitest';
import {
  DATABASES,
  injectServices,
  type FreshDatabase,
  freshDatabase,
} from '../support/services.ts';
import { MemoryPublisher, type RunningCapture, startCapture, until } from './capture-support.ts';

const CUSTOMERS = `CREATE TABLE customers (id INT PRIMARY KEY, email VARCHAR(255), first_name TEXT,
  last_name TEXT, plan_type VARCHAR(20), candidate TEXT)`;

/** Every type that may stand beside the columns of the contract, before, between and after them. */
const PAGE_VIEWS = `CREATE TABLE page_views (
  flag BIT(1), mask BIT(40), plain JSON,
  id BIGINT AUTO_INCREMENT PRIMARY KEY,
  doubled BIGINT GENERATED ALWAYS AS (user_id * 2) VIRTUAL,
  picture LONGBLOB, tiny TINYBLOB, fixed BINARY(7), loose VARBINARY(300),
  user_id INT,
  kept VARCHAR(60) GENERATED ALWAYS AS (CONCAT(page, '/', user_id)) STORED,
  price DECIMAL(20, 5), ratio FLOAT, exact DOUBLE, small TINYINT, medium MEDIUMINT UNSIGNED,
  page ENUM('home', 'pricing', 'settings', 'größe'),
  born YEAR, day DATE, length TIME(6), at DATETIME(6), stamp TIMESTAMP(3) NULL,
  device VARCHAR(40) CHARACTER SET latin1,
  labels SET('a', 'b', 'c'),
  browser CHAR(40) CHARACTER SET cp1251,
  notes MEDIUMTEXT CHARACTER SET utf8mb4,
  location TINYTEXT CHARACTER SET utf8mb4,
  event_time TIMESTAMP NULL,
  place POINT,
  mark INT GENERATED ALWAYS AS (LENGTH(notes)) VIRTUAL, KEY by_mark (mark))`;

const OTHERS = `flag = 1, mask = 0xFF00FF00FF, plain = '{"a": [1, 2, {"id": 3}]}',
  picture = REPEAT(0x00FF27, 30000), tiny = 0x00, fixed = 'ab', loose = REPEAT(0xC3, 260),
  price = -12345.00001, ratio = 0.1, exact = -1e300, small = -128, medium = 16777215, born = 2155,
  day = '2026-02-28', length = '-838:59:59', at = '9999-12-31 23:59:59.999999',
  stamp = '2026-03-29 01:30:00.123', labels = 'a,c', place = ST_GeomFromText('POINT(1 2)'),
  notes = REPEAT('ü🚀', 500)`;

interface Streaming extends AsyncDisposable {
  publisher: MemoryPublisher;
  capture: RunningCapture;
  query: (sql: string) => Promise<Record<string, unknown>[]>;
}

async function streaming(
  server: Parameters<typeof freshDatabase>[0],
  setUp: readonly string[],
  timeZone = '+00:00',
): Promise<Streaming> {
  const database: FreshDatabase = await freshDatabase(server);
  const query = async (sql: string): Promise<Record<string, unknown>[]> => {
    const [rows] = await database.connection.query(sql);
    return rows as Record<string, unknown>[];
  };
  await query(`SET time_zone = '${timeZone}'`);
  for (const sql of setUp) await query(sql);
  const publisher = new MemoryPublisher();
  const capture = startCapture({ ...database.settings, timeZone }, publisher);
  await capture.reads();
  return {
    publisher,
    capture,
    query,
    [Symbol.asyncDispose]: async () => {
      await capture[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** The topic's message of every row, as the database itself puts it. */
const AS_MESSAGES = `SELECT id, user_id, CONVERT(page USING utf8mb4) AS page, CONVERT(device USING utf8mb4) AS device,
  CONVERT(browser USING utf8mb4) AS browser, CONVERT(location USING utf8mb4) AS location,
  DATE_FORMAT(TIMESTAMP('1970-01-01') + INTERVAL UNIX_TIMESTAMP(event_time) SECOND, '%Y-%m-%dT%H:%i:%sZ') AS event_time
  FROM page_views ORDER BY id`;

describe.each(DATABASES)('capture on %s', (flavour) => {
  // Guards the names and positions that Translator gives zongji: one off, and all columns are wrong.
  test('reads the known columns right, whatever stands between them', async () => {
    await using t = await streaming(injectServices()[flavour], [CUSTOMERS, PAGE_VIEWS]);
    const insert = (values: string): Promise<unknown> =>
      t.query(`INSERT INTO page_views SET ${values}`);
    await insert(
      `user_id = 7, page = 'größe', device = 'Zoë café', browser = 'Привет', location = '東京 🚀', event_time = '2026-07-01 12:00:00', ${OTHERS}`,
    );
    await insert('user_id = 8');
    await insert(
      "user_id = -2147483648, page = 'pricing', device = '', browser = ' x ', location = REPEAT('é', 120), event_time = '1970-01-01 00:00:01', flag = 0, plain = 'null', notes = ''",
    );
    await until(() => t.publisher.views.length === 3, 'three views', t.capture.done);
    expect(t.publisher.views).toEqual(await t.query(AS_MESSAGES));
    await t.query(
      `UPDATE page_views SET ${OTHERS}, plain = JSON_SET('{}', '$.b', 1) WHERE user_id = 8`,
    );
    await t.query('DELETE FROM page_views WHERE user_id = 7');
    await until(() => t.publisher.changes.length === 2, 'two changes', t.capture.done);
    expect(t.publisher.changes).toEqual([
      '{"user_id":8,"cause":"page_views.update"}',
      '{"user_id":7,"cause":"page_views.delete"}',
    ]);
    expect(t.capture.warnings).toEqual([]);
  });

  // Guards EventTimes: a TIMESTAMP is an instant, a DATETIME the wall's time in DB_TIME_ZONE.
  test.each(['TIMESTAMP NULL', 'DATETIME'])(
    '%s is the same instant for the topic as for the database when the clocks change',
    async (type) => {
      await using t = await streaming(
        injectServices()[flavour],
        [CUSTOMERS, PAGE_VIEWS.replace('event_time TIMESTAMP NULL', `event_time ${type}`)],
        'Europe/Berlin',
      );
      for (const utc of AROUND_CHANGES) {
        const seconds = Date.parse(utc) / 1000;
        if (type !== 'DATETIME') await t.query("SET time_zone = '+00:00'");
        await t.query(
          `INSERT INTO page_views (user_id, page, event_time) VALUES (1, 'home', FROM_UNIXTIME(${seconds}))`,
        );
      }
      await t.query("SET time_zone = 'Europe/Berlin'");
      const count = AROUND_CHANGES.length;
      await until(() => t.publisher.views.length === count, `${count} views`, t.capture.done);
      const instants = await t.query('SELECT UNIX_TIMESTAMP(event_time) AS s FROM page_views');
      const asSeen = instants.map(({ s }) =>
        new Date(Number(s) * 1000).toISOString().replace('.000', ''),
      );
      expect(t.publisher.views.map((view) => view['event_time'])).toEqual(asSeen);
      if (type !== 'DATETIME') expect(asSeen).toEqual(AROUND_CHANGES);
    },
    60_000,
  );
});

/** Summer time is from March 29, 01:00 UTC, to October 25, 01:00 UTC. */
const AROUND_CHANGES = [
  '2026-03-29T00:59:59Z',
  '2026-03-29T01:00:00Z',
  '2026-06-30T22:00:00Z',
  '2026-10-24T23:59:59Z',
  '2026-10-25T00:00:00Z',
  '2026-10-25T00:30:00Z',
  '2026-10-25T01:00:00Z',
  '2026-10-25T01:30:00Z',
  '2026-10-25T02:00:00Z',
];
