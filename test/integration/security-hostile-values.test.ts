import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { expectedNow } from '../support/expected.ts';
import { Program, environment, runToEnd, until } from '../support/program.ts';
import { type FreshDatabase, freshDatabase, injectServices } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';

const WIDE = 'Ж'.repeat(32_000);
const FORGED = '{"level":30,"msg":"forged"}';
const VALUES = [
  "'; DROP TABLE customers; -- ",
  '" OR 1=1 #',
  '<script>alert(1)</script>',
  'nul \u0000 inside',
  `line\n${FORGED}\r\nend`,
  '\u001B[31mred\u001B]0;title\u0007',
  '\u009B31m C1 \u0085',
  '\u202Ertl \u2066 mark \u200F',
  '__proto__',
  'constructor',
  '{"$ne":null}',
  '${jndi:ldap://x}{{7*7}}%s%n',
  '\\\\u0041 \\',
  '😀\u2028\u2029é',
  WIDE,
];
/** Those that are good, and those that no call is made for. */
const ADDRESSES = [`o'neil+tag@example.com`, 'zoë@example.com', '__proto__@example.com'];
/** The simulator, as Iterable, takes no quoted ones. */
const QUOTED = '"quo-ted"@example.com';
const UNUSABLE = [
  'new\nline@example.com',
  'es\u001B[31mc@example.com',
  'nul\u0000@example.com',
  'rtl\u202E@example.com',
  'two@at@example.com',
  `${FORGED}\n x`,
  '',
];

let database: FreshDatabase;
let simulator: Simulator;
beforeAll(async () => {
  database = await freshDatabase(injectServices().mysql);
  const { connection } = database;
  await setUpTables(connection);
  await connection.query(
    `DELETE FROM page_views; DELETE FROM customers;
     ALTER TABLE customers MODIFY first_name MEDIUMTEXT, MODIFY last_name VARBINARY(255), MODIFY candidate MEDIUMTEXT;
     ALTER TABLE page_views MODIFY page VARCHAR(255), MODIFY device MEDIUMTEXT, MODIFY location MEDIUMTEXT`,
  );
  simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
});
afterAll(async () => {
  await simulator[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

async function insertAll(): Promise<void> {
  const { connection } = database;
  const emails = [
    ...VALUES.map((_, i) => `user${i}@example.com`),
    ...ADDRESSES,
    QUOTED,
    ...UNUSABLE,
  ];
  for (const [i, email] of emails.entries()) {
    const value = VALUES[i % VALUES.length] ?? '';
    await connection.query(
      'INSERT INTO customers (id, email, first_name, candidate, plan_type) VALUES (?, ?, ?, ?, ?)',
      [i + 1, email, value, value, 'pro'],
    );
    await connection.query(
      "INSERT INTO page_views (user_id, page, device, browser, location) VALUES (?, 'pricing', ?, ?, ?), (?, ?, 'x', 'x', 'x')",
      [i + 1, value, value.slice(0, 100), value, i + 1, value.slice(0, 255)],
    );
  }
}

/** Every line is one that the program wrote, and none has a colour or a cursor in it. */
function expectPlain(text: string, line: RegExp): void {
  // oxlint-disable-next-line no-control-regex
  expect(text).not.toMatch(/[\0-\x08\x0B-\x1F\x7F-\x9F\u2028-\u202E\u2066-\u2069]/);
  for (const one of text.split('\n')) expect(one).toMatch(line);
  expect(text).not.toMatch(/^\{"level":30,"msg":"forged"/m);
}
const JSON_LINE = /^(\{.*\})?$/;

describe('hostile values', () => {
  it('arrive exactly as data, or are refused for good with a reason; nothing is forged', async () => {
    const env = environment(database.settings, simulator.url, {
      LOG_LEVEL: 'debug',
      START_FROM: 'now',
    });
    await using program = new Program(['run'], env);
    const url = await program.ready();
    await insertAll();
    const good = VALUES.length + ADDRESSES.length;
    await until('all that can be sent is there', () =>
      Promise.resolve(simulator.stats().state.events >= good),
    );
    const list = async (...flags: string[]): Promise<string> =>
      (await runToEnd(['dead-letters', 'list', ...flags], env)).stdout;
    await until(
      'all that cannot be sent is listed',
      async () => (await list()).split('\n').length >= UNUSABLE.length + 3,
    );
    await expectExact(good);
    // Guards oneLine in dead-letters.ts: a line a letter, four columns each.
    expectPlain(await list(), /^([^\t]+\t[^\t]+\t[^\t]+\t[^\t]+)?$/);
    expect(await list()).toContain('no usable e-mail address');
    expectPlain(await list('--json'), JSON_LINE);
    for (const path of ['/', '/status', '/metrics']) {
      expectPlain(await (await fetch(url + path)).text(), /^/);
    }
    program.kill('SIGTERM');
    const { code, stderr } = await program.ended;
    expect(code).toBe(0);
    expectPlain(stderr, JSON_LINE);
    const log = readFileSync(env['LOG_FILE'] ?? '', 'utf8');
    expectPlain(log, JSON_LINE);
    const tables = await database.connection.query('SELECT COUNT(*) AS n FROM customers');
    expect(tables[0]).toEqual([{ n: good + UNUSABLE.length + 1 }]);
  });

  it('arrive exactly by backfill, singly and in bulk, and --dry-run prints a line a user', async () => {
    const good = VALUES.length + ADDRESSES.length;
    const env = environment(database.settings, simulator.url);
    // Guards plainJson in dryRunLine.
    const dry = await runToEnd(['backfill', '--dry-run'], env);
    expectPlain(dry.stdout, JSON_LINE);
    const lines = dry.stdout
      .trimEnd()
      .split('\n')
      .map(
        (line) =>
          JSON.parse(line) as {
            refused?: string;
            users_update?: { dataFields: { first_name: string } };
          },
      );
    expect(lines.filter(({ refused }) => refused !== undefined)).toHaveLength(UNUSABLE.length);
    expect(
      lines.slice(0, VALUES.length).map((line) => line.users_update?.dataFields.first_name),
    ).toEqual(VALUES);
    for (const flags of [[], ['--bulk']]) {
      simulator.reset();
      const { code, stdout, stderr } = await runToEnd(['backfill', ...flags], env);
      expect(code, stderr).toBe(1);
      expectPlain(stderr, JSON_LINE);
      expect(stdout).toContain(`Total failures (both failed):       ${UNUSABLE.length + 1}\n`);
      await expectExact(good);
    }
  });

  // Guards oneLine and plainLines in main.ts, and oneLine in doctor.ts.
  it('make no line and no colour of their own in error messages', async () => {
    const text = `x\n${FORGED}\u001B[31m\u009B1m`;
    const env = environment(
      { ...database.settings, host: '127.0.0.1', name: text },
      simulator.url,
      { LOG_LEVEL: 'debug' },
    );
    const ended = await runToEnd(['backfill'], env);
    expect(ended.code).toBe(3);
    expectPlain(ended.stderr, /^(\{.*\}|error: .*)?$/);
    const doctor = await runToEnd(['doctor'], env);
    expectPlain(doctor.stdout, /^(ok|FAIL|note|skip|\d+ checks? failed|$)/);
    const discard = await runToEnd(
      ['dead-letters', 'discard', text],
      environment(database.settings, simulator.url),
    );
    expect(discard.code).toBe(2);
    expect(discard.stderr).not.toContain('\u001B');
  });
});

/** What the simulator holds is what the database holds. */
async function expectExact(users: number): Promise<void> {
  const expected = await expectedNow(database.connection);
  expect(simulator.users.size).toBe(users);
  for (const [email, user] of simulator.users) {
    const wanted = expected.get(email);
    expect([email, user.dataFields]).toEqual([email, wanted?.profile]);
    const event = user.events.get(wanted?.eventId ?? '');
    expect({ createdAt: event?.createdAt, dataFields: event?.dataFields }).toEqual(wanted?.event);
  }
}
