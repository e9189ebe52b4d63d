import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { AUDIT_INTERVAL_MS } from '../../src/source/mysql/audit/audit.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { differences } from '../support/expected.ts';
import { Program, environment, until as eventually } from '../support/program.ts';
import { DATABASES, freshDatabase, injectServices } from '../support/services.ts';
import type { FreshDatabase } from '../support/services.ts';
import { Workload, setUpTables } from '../support/workload.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

/** Many looks while the workload goes on. */
const AUDIT_MS = 10;

/** A session whose writes do not reach the binlog. */
async function unloggedSession(database: FreshDatabase) {
  const { host, port, user, password, name } = database.settings;
  const connection = await createConnection({ host, port, user, password, database: name });
  await connection.query('SET SESSION sql_log_bin = 0');
  return { connection, [Symbol.dispose]: () => connection.destroy() };
}

const ofAudit = (publisher: MemoryPublisher): string[] => [
  ...new Set(publisher.changes.filter((value) => value.includes('"audit"'))),
];

const view = (id: number, user = 1): string =>
  `INSERT INTO page_views (id, user_id, page) VALUES (${id}, ${user}, 'pricing')`;

describe.each(DATABASES)('the audit of capture on %s', (flavour) => {
  async function audited() {
    const database = await freshDatabase(injectServices()[flavour]);
    await setUpTables(database.connection);
    const publisher = new MemoryPublisher();
    const start = () => startCapture(database.settings, publisher, { auditIntervalMs: AUDIT_MS });
    let capture = start();
    await capture.reads();
    const unlogged = await unloggedSession(database);
    return {
      database,
      publisher,
      capture: () => capture,
      query: (sql: string) => database.connection.query(sql),
      unlogged: (sql: string) => unlogged.connection.query(sql),
      /** Unlogged rows until one is found: by then the audit has seen all that was before. */
      canary: async (first: number, user: number) => {
        const isFound = (): boolean =>
          ofAudit(publisher).some((value) => value.includes(`:${user},`));
        for (let id = first; !isFound(); id += 1) {
          if (id > first + 60) throw new Error(`no canary from ${first} was found`);
          await unlogged.connection.query(view(id, user));
          await sleep(5 * AUDIT_MS);
        }
      },
      again: async () => {
        await capture.stop();
        capture = start();
        await capture.reaches('streaming');
      },
      [Symbol.asyncDispose]: async () => {
        unlogged[Symbol.dispose]();
        await capture[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      },
    };
  }

  // Guards Audit.#compare: without it nothing is found, and none of these users is looked at.
  test('finds rows of both tables that a session kept out of the binlog, and names their users', async () => {
    await using t = await audited();
    await t.query(view(100));
    await t.canary(101, 9);
    await t.unlogged(view(202, 2));
    await t.unlogged(view(203, 3));
    await t.query(view(204, 4));
    await t.unlogged("INSERT INTO customers (id, email) VALUES (77, 'unlogged@x.test')");
    await until(() => ofAudit(t.publisher).length >= 4, 'four users', t.capture().done);
    await t.canary(210, 8);
    expect(ofAudit(t.publisher).toSorted()).toEqual(
      [2, 3, 77, 8, 9].map((id) => `{"user_id":${id},"cause":"audit"}`),
    );
    expect(t.capture().warnings.join('\n')).toMatch(
      /page_views are not in the binlog \(ids (?:.*, )?20[23]/,
    );
    expect(t.capture().warnings.join('\n')).toContain('sql_log_bin=0');
    expect(t.capture().status().capturedRows['customers.audit']).toBe(1);
  });

  // Guards the wait in unlogged(), Audit.note, and forget() in #compare.
  test(
    'raises no false alarm, whatever is written to the log and however',
    { timeout: 60_000 },
    async () => {
      await using t = await audited();
      await t.canary(1_000, 9);
      const workload = new Workload(t.database.connection, 7, 20);
      await t.query('ALTER TABLE page_views AUTO_INCREMENT = 2000');
      const { host, port, user, password, name } = t.database.settings;
      const late = await createConnection({ host, port, user, password, database: name });
      await late.beginTransaction();
      await late.query(view(1_500, 10));
      await t.query(view(1_600));
      await t.query(view(50));
      for (const plan of ['free', 'pro']) {
        await t.query(`UPDATE customers SET plan_type = '${plan}' WHERE id < 5`);
        await t.query('BEGIN');
        await t.query("INSERT INTO page_views (user_id, page) VALUES (1, 'home'), (2, 'home')");
        await t.query('ROLLBACK');
        await t.query("INSERT INTO page_views (user_id, page) VALUES (1, 'home'), (2, 'home')");
      }
      for (let id = 0; id < 20; id += 1) {
        await t.query(
          `INSERT INTO customers (id, email) VALUES (${3_000_000_001 + id}, 'w${id}@x.test')`,
        );
      }
      await workload.steps(150);
      await late.commit();
      late.destroy();
      await t.again();
      await workload.steps(100);
      await t.query('UPDATE page_views SET id = 900000 ORDER BY id DESC LIMIT 1');
      await t.canary(900_001, 7);
      await t.query(
        "INSERT INTO page_views (id, user_id, page) VALUES (9007199254741001, 1, 'home')",
      );
      await t.query('DELETE FROM page_views ORDER BY id DESC LIMIT 5');
      await t.query(
        'INSERT INTO page_views SELECT id + 9007199254750000, user_id, page, device, browser, location, event_time FROM page_views',
      );
      await t.query('TRUNCATE TABLE page_views');
      for (let id = 1; id < 100; id += 1) await t.query(view(id, 1 + (id % 5)));
      await t.canary(5_000, 8);
      expect(ofAudit(t.publisher)).toEqual([
        '{"user_id":9,"cause":"audit"}',
        '{"user_id":7,"cause":"audit"}',
        '{"user_id":8,"cause":"audit"}',
      ]);
    },
  );
});

// Guards MysqlReading.#addUnlogged: without its messages the holes stay.
test.concurrent.each(DATABASES)(
  `the program on %s makes good soon what was written past the binlog`,
  { timeout: AUDIT_INTERVAL_MS + 60_000 },
  async (flavour) => {
    await using database = await freshDatabase(injectServices()[flavour]);
    const { connection, settings } = database;
    await new Workload(connection, 3, 10).setUp();
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    await using program = new Program(['run'], environment(settings, simulator.url));
    const url = await program.ready();
    // The first look was a second after the stream began.
    await eventually('it has looked for the first time', async () => {
      const { uptime_seconds: uptime } = (await (await fetch(`${url}/status`)).json()) as Record<
        string,
        number
      >;
      return (uptime ?? 0) > 5;
    });
    using unlogged = await unloggedSession(database);
    await unlogged.connection.query(
      "INSERT INTO customers (id, email, plan_type) VALUES (4000000000, 'past@x.test', 'pro')",
    );
    await unlogged.connection.query(view(6_000_000_000, 4_000_000_000));
    await unlogged.connection.query(view(6_000_000_001, 1));
    expect(await differences(connection, simulator)).not.toEqual([]);
    await eventually(
      'Iterable holds them',
      async () => (await differences(connection, simulator)).length === 0,
      AUDIT_INTERVAL_MS + 20_000,
    );
    expect(program.stderr).toContain('sql_log_bin=0');
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('kind="page_views.audit"} 2');
  },
);
