import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RANDOM_TABLE } from '../support/random-tables.ts';
import {
  type FreshDatabase,
  freshDatabase,
  injectServices,
  startOwnMariadb,
  startOwnMysql,
} from '../support/services.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const CUSTOMERS =
  'CREATE TABLE customers (id INT PRIMARY KEY, email VARCHAR(255), first_name TEXT, last_name TEXT, plan_type VARCHAR(20), candidate TEXT, extra JSON)';
const PAGE_VIEWS = `CREATE TABLE page_views (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, user_id INT,
  page VARCHAR(100), device TEXT, browser TEXT, location VARCHAR(120), event_time TIMESTAMP NULL)
  CHARACTER SET utf8mb4`;

/** As the database itself puts it; text is in its own character set there. */
const AS_MESSAGES = `SELECT id, user_id, CONVERT(page USING utf8mb4) AS page,
  CONVERT(device USING utf8mb4) AS device, CONVERT(browser USING utf8mb4) AS browser,
  CONVERT(location USING utf8mb4) AS location,
  DATE_FORMAT(FROM_UNIXTIME(0) + INTERVAL UNIX_TIMESTAMP(event_time) SECOND, '%Y-%m-%dT%H:%i:%sZ') AS event_time
  FROM page_views ORDER BY id`;

async function streaming(server: Parameters<typeof freshDatabase>[0], setUp: readonly string[]) {
  const database: FreshDatabase = await freshDatabase(server);
  const query = async (sql: string): Promise<Record<string, unknown>[]> => {
    const [rows] = await database.connection.query(sql);
    return rows as Record<string, unknown>[];
  };
  for (const sql of setUp) await query(sql);
  const publisher = new MemoryPublisher();
  const capture = startCapture(database.settings, publisher);
  await capture.reads();
  const seen = (views: number): Promise<void> =>
    until(() => publisher.views.length >= views, `${views} views`, capture.done, 60_000);
  return {
    database,
    publisher,
    capture,
    query,
    seen,
    /** Every view in the table is a message with just what the table has. */
    isAllThere: async (): Promise<void> => {
      const views = await query(AS_MESSAGES);
      await seen(views.length);
      expect(publisher.views).toEqual(views);
    },
    [Symbol.asyncDispose]: async () => {
      await capture[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

const ODD = [
  'CREATE TABLE odd (b BLOB, t BIT(9))',
  "INSERT INTO odd VALUES (0x00FF27, b'101010101')",
];

/** What a server may have beside our columns, and a value of each. */
const BESIDE = {
  mysql: [
    // A BLOB or BIT within JSON comes of a column: literals are VARBINARY.
    [
      'JSON',
      '(SELECT JSON_OBJECT("blob", b, "bit", t, "at", CAST(\'12:00:00\' AS TIME)) FROM odd)',
    ],
    ['JSON', '(SELECT b FROM (SELECT CAST(JSON_ARRAY(b) AS JSON) AS b FROM odd) AS one)'],
    ['JSON', '(SELECT b FROM (SELECT CAST(JSON_ARRAY(t) AS JSON) AS b FROM odd) AS one)'],
    ['JSON', "JSON_ARRAY(_binary 'x', ST_GeomFromText('POINT(1 2)'), 1.5, REPEAT('y', 70000))"],
    ['VECTOR(3)', "TO_VECTOR('[1,2,3]')"],
    ['GEOMETRYCOLLECTION', "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')"],
  ],
  mariadb: [
    ['INET6', "'::1'"],
    ['INET4', "'10.0.0.1'"],
    ['UUID', "'123e4567-e89b-12d3-a456-426655440000'"],
    ['TEXT COMPRESSED', "REPEAT('é', 5000)"],
    ['VARCHAR(400) COMPRESSED', "REPEAT('é', 300)"],
    ['JSON', '\'{"a":[1,2]}\''],
  ],
} as const;
const BESIDE_BOTH = [
  ['POINT', "ST_GeomFromText('POINT(1 2)')"],
  ['GEOMETRY', "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')"],
  ['DECIMAL(65,30)', '-12345678901234567890.000000000000000000000000000001'],
  ['DECIMAL(9,9)', '0.123456789'],
  ['BIT(64)', '0xFFFFFFFFFFFFFFFF'],
  ['BIT(9)', "b'101010101'"],
  [`SET(${Array.from({ length: 64 }, (_, n) => `'m${n}'`).join()})`, "'m0,m63'"],
  [`ENUM(${Array.from({ length: 300 }, (_, n) => `'e${n}'`).join()})`, "'e299'"],
  ['YEAR', '2155'],
  ['DATE', "'9999-12-31'"],
  ['TIME(3)', "'-838:59:58.999'"],
  ['DATETIME(1)', "'1000-01-01 00:00:00.1'"],
  ['TIMESTAMP(5) NULL', "'2038-01-19 03:14:07.99999'"],
  ['FLOAT(7,3)', '1.5'],
  ['DOUBLE', '-1e300'],
  ['MEDIUMBLOB', 'REPEAT(0x00FF27, 40000)'],
  ['LONGTEXT', "REPEAT('ü', 70000)"],
  ['TINYTEXT', "''"],
  ['BINARY(255)', "'ab'"],
  ['VARBINARY(3000)', 'REPEAT(0xC3, 2600)'],
  ['CHAR(255) CHARACTER SET utf8mb4', "REPEAT('🚀', 255)"],
  ['BIGINT UNSIGNED', '18446744073709551615'],
] as const;

describe.each(['mysql', 'mariadb'] as const)('capture on %s', (flavour) => {
  const server = (): Parameters<typeof freshDatabase>[0] => injectServices()[flavour];

  // Guards valueLengthOf: a JSON with a BLOB or BIT in it made zongji fail at the same place for ever.
  test.concurrent(
    'is stopped by nothing that stands in a column beside ours, of whatever type',
    async () => {
      const beside = [...BESIDE_BOTH, ...BESIDE[flavour]];
      const version = flavour === 'mysql' ? await majorOf(server()) : 0;
      const able = beside.filter(([type]) => !type.startsWith('VECTOR') || version >= 9);
      await using t = await streaming(server(), [CUSTOMERS, PAGE_VIEWS, ...ODD]);
      const ours = ['id', 'user_id', 'page', 'device', 'browser', 'location', 'event_time'];
      // Some before each of ours, so that one that is passed over wrongly shows in the next.
      const added = able.map(([type], n) => {
        const place = n % 8 === 0 ? 'FIRST' : `AFTER ${ours[(n % 8) - 1]}`;
        return `ADD COLUMN c${n} ${type} ${place}`;
      });
      await t.query(`ALTER TABLE page_views ${added.join()}`);
      const set = (n: number): string => `c${n} = ${able[n]?.[1] ?? 'NULL'}`;
      const all = able.map((_, n) => set(n)).join();
      const view = (user: number): string =>
        `user_id = ${user}, page = 'pricing', device = 'Zoë', browser = '"', location = '東京', event_time = '2026-07-01 12:00:00'`;
      for (const n of able.keys())
        await t.query(`INSERT INTO page_views SET ${view(n)}, ${set(n)}`);
      await t.query(`INSERT INTO page_views SET ${view(900)}, ${all}`);
      await t.query('INSERT INTO page_views SET user_id = 901');
      await t.isAllThere();
      await t.query(`UPDATE page_views SET ${all} WHERE user_id = 901`);
      await t.query('DELETE FROM page_views WHERE user_id = 900');
      const blob = flavour === 'mysql' ? '(SELECT JSON_ARRAY(b, t) FROM odd)' : "'{}'";
      await t.query(`INSERT INTO customers (id, email, extra) VALUES (7, 'a@b.c', ${blob})`);
      await until(() => t.publisher.changes.length === 3, 'three changes', t.capture.done);
      expect(t.publisher.changes).toEqual([
        '{"user_id":901,"cause":"page_views.update"}',
        '{"user_id":900,"cause":"page_views.delete"}',
        '{"user_id":7,"cause":"customers.insert"}',
      ]);
    },
    120_000,
  );

  // Guards Charsets: collations that zongji does not know were read as UTF-8. The Cyrillic letters
  // of big5 are left out: iconv-lite has others in their place.
  test.concurrent(
    'reads text in every character set and kind of collation that the server has',
    async () => {
      await using t = await streaming(server(), [CUSTOMERS, PAGE_VIEWS]);
      const collations = await t.query(
        `SELECT CHARACTER_SET_NAME AS charset, MIN(name) AS name FROM (${COLLATIONS[flavour]}) AS every
       WHERE CHARACTER_SET_NAME <> 'binary'
       GROUP BY CHARACTER_SET_NAME, kind ORDER BY 1, 2`,
      );
      expect(collations.length).toBeGreaterThan(30);
      // What a character set lacks becomes a question mark.
      await t.query("SET SESSION sql_mode = ''");
      for (const { charset, name } of collations) {
        const type = `CHARACTER SET ${String(charset)} COLLATE ${String(name)}`;
        await t.query(
          `ALTER TABLE page_views MODIFY location VARCHAR(120) ${type}, MODIFY device TEXT ${type},
         MODIFY browser CHAR(90) ${type}, MODIFY page ENUM('pricing', 'größe', 'Цена', '価格') CHARACTER SET utf8mb4`,
        );
        const text = (of: string): string => `CONVERT('${of}' USING ${String(charset)})`;
        await t.query(
          `INSERT INTO page_views SET user_id = 1, page = 'größe', device = ${text('Zoë Straße €')},
         browser = ${text(charset === 'big5' ? '東京' : 'Привет мир')}, location = ${text(`Ωμέγα 東京 สวัสดี שלום "${String(name)}"`)}`,
        );
        // What was read as another text would stay so after the next change of the table.
        const [row] = await t.query(`${AS_MESSAGES} DESC LIMIT 1`);
        await t.seen(Number(row?.['id']));
        expect([name, t.publisher.views.at(-1)]).toEqual([name, row]);
      }
    },
    120_000,
  );

  // Guards RowReader against the server itself: other types and orders of our columns, every time.
  test.concurrent(
    'reads random tables as the database itself does',
    async () => {
      await using t = await streaming(server(), [CUSTOMERS, PAGE_VIEWS]);
      for (const { columns, rows } of fc.sample(RANDOM_TABLE, { seed: 20_261, numRuns: 30 })) {
        await t.query('DROP TABLE page_views');
        t.publisher.messages.length = 0;
        await t.query(`CREATE TABLE page_views (${columns.join()}) CHARACTER SET utf8mb4`);
        for (const row of rows) await t.query(`INSERT INTO page_views SET ${row.join()}`);
        const views = (await t.query(AS_MESSAGES)).filter(({ user_id: user }) => user !== null);
        await t.seen(views.length);
        expect([columns, t.publisher.views]).toEqual([columns, views]);
      }
    },
    120_000,
  );
});

/** By name and character set; `kind` tells those apart that zongji does not know. */
const KIND =
  "CASE WHEN name LIKE '%nopad%' THEN 1 WHEN name LIKE '%uca1400%' THEN 2 ELSE 0 END AS kind";
const COLLATIONS = {
  mysql: `SELECT CHARACTER_SET_NAME, COLLATION_NAME AS name, 0 AS kind FROM information_schema.COLLATIONS`,
  mariadb: `SELECT CHARACTER_SET_NAME, name, ${KIND} FROM (SELECT CHARACTER_SET_NAME,
     FULL_COLLATION_NAME AS name FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY) AS named`,
};

async function majorOf(server: Parameters<typeof freshDatabase>[0]): Promise<number> {
  await using database = await freshDatabase(server);
  const [rows] = await database.connection.query('SELECT VERSION() AS version');
  return parseInt(String((rows as { version: unknown }[])[0]?.version), 10);
}

describe.each([
  ['mysql', startOwnMysql],
  ['mysql', (flags: string[]) => startOwnMysql(flags, false)],
  ['mariadb', startOwnMariadb],
] as const)('capture on a %s of its own (%#)', (flavour, start) => {
  const settings = [
    '--max-allowed-packet=128M',
    ...(flavour === 'mariadb'
      ? ['--innodb-log-file-size=512M']
      : ['--innodb-redo-log-capacity=1G']),
  ];

  // Guards RawEvents.#readFormat: zongji asks once, and would read four bytes too few of each event.
  test.concurrent(
    'reads on when checksums are switched off and on again, and older files too',
    async () => {
      await using server = await start(settings);
      await using t = await streaming(server, [CUSTOMERS, PAGE_VIEWS]);
      const insert = (): Promise<unknown> =>
        t.query("INSERT INTO page_views (user_id, page, location) VALUES (1, 'pricing', 'Zürich')");
      for (const checksum of ['NONE', 'CRC32', 'NONE']) {
        await insert();
        await t.query(`SET GLOBAL binlog_checksum = ${checksum}`);
        await insert();
        await t.isAllThere();
      }
      await t.capture.stop();
      expect(t.capture.warnings).toEqual([]);
      for (const checksum of ['CRC32', 'NONE']) {
        await insert();
        await t.query(`SET GLOBAL binlog_checksum = ${checksum}`);
        await insert();
        await using again = startCapture(t.database.settings, t.publisher);
        await t.isAllThere();
        await again.stop();
        expect(again.warnings).toEqual([]);
      }
      const files = await t.query('SHOW BINARY LOGS');
      const { file } = t.publisher.checkpoint ?? {};
      if (file !== undefined) expect(files.map((log) => log['Log_name'])).toContain(file);
    },
  );

  // Guards the count of a packet's parts: mysql2 complains on the console where it is wrong.
  test.concurrent('passes over a value of 40 MB beside ours', async () => {
    await using server = await start(settings);
    const huge = PAGE_VIEWS.replace('user_id INT', 'huge LONGTEXT, user_id INT');
    await using t = await streaming(server, [CUSTOMERS, huge]);
    await t.query(
      "INSERT INTO page_views (user_id, huge, location) VALUES (1, REPEAT('ü', 20000000), 'Zürich')",
    );
    await t.query(
      "INSERT INTO page_views (user_id, huge, location) VALUES (2, REPEAT('x', 16777215 - 100), 'Bern')",
    );
    await t.query("UPDATE page_views SET huge = CONCAT(huge, 'x') WHERE user_id = 1");
    await t.query("INSERT INTO page_views (user_id, location) VALUES (3, 'Uri')");
    await t.isAllThere();
    expect(t.publisher.changes).toEqual(['{"user_id":1,"cause":"page_views.update"}']);
    expect(t.capture.warnings).toEqual([]);
  });
});
