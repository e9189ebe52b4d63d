import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { isCaughtUp } from '../support/pipeline.ts';
import { Program, environment, runToEnd, until } from '../support/program.ts';
import { DATABASES, freshDatabase, injectServices } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';

/** A column of each kind: its type, a value as SQL, and what JSON has of it. */
const KINDS: readonly [type: string, value: string, json: unknown][] = [
  ['TINYINT(1)', '1', 1],
  ['INT UNSIGNED', '4294967295', 4_294_967_295],
  ['BIGINT', '-9007199254740991', -9_007_199_254_740_991],
  ['BIGINT', '9007199254740993', '9007199254740993'],
  ['BIGINT UNSIGNED', '18446744073709551615', '18446744073709551615'],
  ['DECIMAL(10, 2)', '19.90', 19.9],
  ['DECIMAL(30, 10)', '-12345678901234567890.0123456789', '-12345678901234567890.0123456789'],
  ['FLOAT', '1.5', 1.5],
  ['DOUBLE', '1e300', 1e300],
  ['BIT(1)', "b'1'", 1],
  ['BIT(64)', '18446744073709551615', '18446744073709551615'],
  ['YEAR', '2026', 2026],
  [
    'JSON',
    `'{"a": [1, 2.5, "é", null, true], "big": 9007199254740993}'`,
    { a: [1, 2.5, 'é', null, true], big: '9007199254740993' },
  ],
  ['JSON', "'[]'", []],
  ['JSON', `'"text"'`, 'text'],
  ['DATETIME(6)', "'2026-01-13 14:30:45.123456'", '2026-01-13 14:30:45'],
  ['DATE', "'2026-01-13'", '2026-01-13'],
  ['TIME', "'-12:00:00'", '-12:00:00'],
  ["ENUM('a', 'é')", "'é'", 'é'],
  ["SET('a', 'b')", "'a,b'", 'a,b'],
  ['VARCHAR(9) CHARACTER SET latin1', "'é'", 'é'],
  ['LONGTEXT', `'{"no": "JSON"}'`, '{"no": "JSON"}'],
  ['VARCHAR(20)', "'19.90'", '19.90'],
  ['BLOB', "'bytes'", 'bytes'],
  ['INT', 'NULL', undefined],
];

const columns = (prefix: string): string =>
  KINDS.map(([type], i) => `ADD COLUMN ${prefix}${i} ${type}`).join(', ');
const values = (prefix: string): string =>
  KINDS.map(([, value], i) => `${prefix}${i} = ${value}`).join(', ');
const names = (prefix: string): string => KINDS.map((_, i) => `${prefix}${i}`).join(',');
const fields = (prefix: string): Record<string, unknown> =>
  Object.fromEntries(
    KINDS.flatMap(([, , json], i) => (json === undefined ? [] : [[`${prefix}${i}`, json]])),
  );

describe.each(DATABASES)('own fields on %s', (flavour) => {
  it('are of the kind that their columns are, by backfill and by stream', async () => {
    await using database = await freshDatabase(injectServices()[flavour]);
    const { connection, settings } = database;
    await setUpTables(connection);
    await connection.query(`
      SET time_zone = '+02:00';
      DELETE FROM page_views WHERE user_id <> 2; DELETE FROM customers WHERE id <> 2;
      ALTER TABLE customers ADD COLUMN created_at TIMESTAMP(3) NULL, ADD COLUMN browser INT, ${columns('c')};
      ALTER TABLE page_views ${columns('v')};
      UPDATE customers SET created_at = '2026-01-13 14:30:45.999', browser = 5, ${values('c')};
      UPDATE page_views SET event_time = NOW() - INTERVAL 1 DAY, ${values('v')}`);
    const [rows] = await connection.query(
      "SELECT id, DATE_FORMAT(event_time, '%Y-%m-%d %H:%i:%s') AS at, UNIX_TIMESTAMP(event_time) AS s FROM page_views",
    );
    const [view] = rows as { id: number; at: string; s: number }[];
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    const env = environment(settings, simulator.url, {
      DB_TIME_ZONE: '+02:00',
      PROFILE_FIELDS: `id:number,created_at,plan_type:plan,${names('c')}`,
      EVENT_FIELDS: `browser,created_at:since,candidate,last_name,${names('v')}`,
    });
    const profile = {
      number: 2,
      created_at: '2026-01-13 14:30:45',
      plan: 'pro',
      ...fields('c'),
      recent_page_view: true,
    };
    const event = {
      browser: 'Firefox',
      since: '2026-01-13 14:30:45',
      timestamp: view?.at,
      candidate: 'candidate-2',
      last_name: 'Chen',
      ...fields('v'),
    };
    const dry = await runToEnd(['backfill', '--dry-run'], env);
    const email = 'mike.chen@email.com';
    const id = `page-view-${view?.id}`;
    const expected = {
      user_id: '2',
      page_view_id: String(view?.id),
      users_update: { email, dataFields: profile },
      events_track: { email, eventName: 'page_view', id, createdAt: view?.s, dataFields: event },
    };
    // Word for word: the order is that of the settings.
    expect(dry.stdout.trim(), dry.stderr).toBe(JSON.stringify(expected));

    await using program = new Program(['run'], env);
    const url = await program.ready();
    await until('it is caught up', () => isCaughtUp(url));
    await until('the user is there', () => Promise.resolve(simulator.users.has(email)));
    expect(simulator.users.get(email)?.dataFields).toMatchObject(profile);
    expect(simulator.users.get(email)?.events.get(id)?.dataFields).toEqual(event);

    // A column that comes to stand before another one's.
    await connection.query(
      "ALTER TABLE page_views ADD COLUMN last_name VARCHAR(20) DEFAULT 'of the view'",
    );
    await until('the new column is sent', () => {
      const held = simulator.users.get(email);
      return Promise.resolve(held?.events.get(id)?.dataFields?.['last_name'] === 'of the view');
    });
    program.kill('SIGTERM');
    expect((await program.ended).code, program.stderr).toBe(0);
  }, 120_000);
});
