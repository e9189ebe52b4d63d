import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { differences } from '../support/expected.ts';
import { Program, environment, runToEnd, until } from '../support/program.ts';
import { type FreshDatabase, freshDatabase, injectServices } from '../support/services.ts';
import { Workload, setUpTables } from '../support/workload.ts';

interface Results {
  total_users: number;
  successful: number;
  partial_failures: number;
  total_failures: number;
  records: { email: string; overall_success: boolean; users_update: { success: boolean } }[];
}

interface Stage extends AsyncDisposable {
  database: FreshDatabase;
  simulator: Simulator;
  env: Record<string, string>;
}

/** A database with the seed of sql/ and an Iterable of its own. */
async function stage(): Promise<Stage> {
  const database = await freshDatabase(injectServices().mysql);
  await setUpTables(database.connection);
  const simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
  return {
    database,
    simulator,
    env: environment(database.settings, simulator.url),
    async [Symbol.asyncDispose]() {
      await simulator[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

function results(env: Readonly<Record<string, string>>): { path: string; content: Results } {
  const folder = env['RESULTS_DIR'] ?? '';
  const name = readdirSync(folder).sort().at(-1) ?? '';
  expect(name).toMatch(/^integration_results_\d{8}_\d{6}\.json$/);
  const path = join(folder, name);
  return { path, content: JSON.parse(readFileSync(path, 'utf8')) as Results };
}

function profiles(simulator: Simulator): unknown {
  return Object.fromEntries(
    [...simulator.users].map(([email, { dataFields }]) => [email, dataFields]),
  );
}

describe('backfill', () => {
  it('sends everyone the rule finds, ends with a summary and a results file, and exits 0', async () => {
    await using on = await stage();
    const { code, stdout, stderr } = await runToEnd(['backfill'], on.env);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/Total users processed: +3\n/);
    expect(stdout).toMatch(/Successful \(both calls\): +3\n/);
    const { path, content } = results(on.env);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(content).toMatchObject({
      total_users: 3,
      successful: 3,
      partial_failures: 0,
      total_failures: 0,
    });
    expect(content.records.map(({ email }) => email)).toEqual([
      'sarah.johnson@email.com',
      'mike.chen@email.com',
      'emma.davis@email.com',
    ]);
    expect(on.simulator.users.size).toBe(3);
  });

  it('prints what would be sent with --dry-run, in user id order, and sends nothing', async () => {
    await using on = await stage();
    const { code, stdout } = await runToEnd(['backfill', '--dry-run'], on.env);
    expect(code).toBe(0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { user_id: string; users_update: object });
    expect(lines.map(({ user_id }) => user_id)).toEqual(['1', '2', '3']);
    expect(lines[0]?.users_update).toEqual({
      email: 'sarah.johnson@email.com',
      dataFields: {
        first_name: 'Sarah',
        last_name: 'Johnson',
        plan_type: 'pro',
        recent_page_view: true,
        candidate: 'candidate-1',
      },
    });
    expect(on.simulator.stats().endpoints['users/update'].requests).toBe(0);
  });

  it('leaves the same in Iterable with --bulk as without', async () => {
    await using on = await stage();
    const workload = new Workload(on.database.connection, 7, 60);
    await on.database.connection.query('DROP TABLE page_views, customers');
    await workload.setUp();
    await workload.steps(150);
    const bulk = await runToEnd(['backfill', '--bulk'], on.env);
    expect(bulk.code, bulk.stderr).toBe(0);
    expect(await differences(on.database.connection, on.simulator)).toEqual([]);
    expect(on.simulator.stats().endpoints['users/update'].requests).toBe(0);
    const held = profiles(on.simulator);
    on.simulator.reset();
    const single = await runToEnd(['backfill'], on.env);
    expect(single.code, single.stderr).toBe(0);
    expect(profiles(on.simulator)).toEqual(held);
  });

  it('says so and exits 0 when the rule finds nobody', async () => {
    await using on = await stage();
    await on.database.connection.query('DELETE FROM page_views');
    const { code, stdout } = await runToEnd(['backfill'], on.env);
    expect(code).toBe(0);
    expect(stdout).toBe('No pro users with recent pricing/settings page views found\n');
  });

  it('goes on with --resume where --limit ended', async () => {
    await using on = await stage();
    expect((await runToEnd(['backfill', '--limit', '2'], on.env)).code).toBe(0);
    expect([...on.simulator.users.keys()]).toEqual([
      'sarah.johnson@email.com',
      'mike.chen@email.com',
    ]);
    on.simulator.reset();
    expect((await runToEnd(['backfill', '--resume'], on.env)).code).toBe(0);
    expect([...on.simulator.users.keys()]).toEqual(['emma.davis@email.com']);
  });

  it('goes on after one that Iterable refuses, counts it, exits 1, and keeps it as a dead letter', async () => {
    await using on = await stage();
    await on.simulator.setFaults({
      refuse: [{ email: 'mike.chen@email.com', status: 400, code: 'InvalidEmailAddressError' }],
    });
    const { code, stdout } = await runToEnd(['backfill'], on.env);
    expect(code).toBe(1);
    expect(stdout).toMatch(/Successful \(both calls\): +2\n/);
    expect(stdout).toMatch(/Total failures \(both failed\): +1\n/);
    const list = await runToEnd(['dead-letters', 'list'], on.env);
    expect(list.stdout).toMatch(/^page-view-4\t2\t.*HTTP 400 InvalidEmailAddressError.*\t\d{4}-/m);
    expect(list.stdout).not.toContain('mike.chen');
    await on.simulator.setFaults({});
    const retry = await runToEnd(['dead-letters', 'retry', '--all'], on.env);
    expect(retry.code, retry.stderr).toBe(0);
    expect(on.simulator.users.has('mike.chen@email.com')).toBe(true);
    expect((await runToEnd(['dead-letters', 'list'], on.env)).stdout).toBe('No dead letters\n');
  });

  it('exits 3 and says what to do when Iterable refuses the key; the key is nowhere to be read', async () => {
    await using on = await stage();
    const env: Record<string, string> = { ...on.env, ITERABLE_API_KEY: 'not-the-planted-key' };
    const { code, stdout, stderr } = await runToEnd(['backfill'], env);
    expect(code).toBe(3);
    expect(stderr).toContain('ITERABLE_API_KEY');
    const log = readFileSync(env['LOG_FILE'] ?? '', 'utf8');
    for (const text of [stdout, stderr, log]) expect(text).not.toContain('not-the-planted-key');
    expect((await runToEnd(['dead-letters', 'list'], on.env)).stdout).toBe('No dead letters\n');
  });

  it('stops cleanly on a signal with exit code 130, and the results file is whole', async () => {
    await using on = await stage();
    await on.database.connection.query(
      `INSERT INTO customers (email, plan_type) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900)
       SELECT CONCAT('many', i, '@example.com'), 'pro' FROM n`,
    );
    await on.database.connection.query(
      "INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers WHERE email LIKE 'many%'",
    );
    await on.simulator.setFaults({ latency: { '*': { ms: 100 } } });
    await using program = new Program(['backfill', '--rate-share', '0.2'], on.env);
    await until('some are sent', () => Promise.resolve(on.simulator.users.size > 50));
    program.kill('SIGINT');
    const { code, stdout } = await program.ended;
    expect(code).toBe(130);
    const { content } = results(on.env);
    expect(content.records).toHaveLength(content.total_users);
    expect(stdout).toMatch(/Not attempted: +[1-9]/);
    await on.simulator.setFaults({});
    const rest = await runToEnd(['backfill', '--resume'], on.env);
    expect(rest.code, rest.stderr).toBe(0);
    expect(on.simulator.users.size).toBe(903);
  });
});

describe('run', () => {
  it('delivers beside replay and dead-letters, refuses a second one on its STATE_DIR, and stops cleanly', async () => {
    await using on = await stage();
    await using program = new Program(['run'], on.env);
    const url = await program.ready();
    await until('the seeded users are there', () => Promise.resolve(on.simulator.users.size === 3));
    await on.database.connection.query(
      "INSERT INTO customers (id, email, plan_type) VALUES (50, 'no address', 'pro'); INSERT INTO page_views (user_id, page) VALUES (50, 'pricing'), (9, 'settings')",
    );
    await until('the new view is there', () =>
      Promise.resolve(on.simulator.users.has('kate.taylor@email.com')),
    );
    await until('the refusal is listed', async () =>
      (await runToEnd(['dead-letters', 'list'], on.env)).stdout.includes(
        'no usable e-mail address',
      ),
    );
    const before = on.simulator.stats().state;
    const replay = await runToEnd(['replay', '--from', '2026-01-01'], on.env);
    expect(replay.code).toBe(1);
    expect(replay.stdout).toMatch(/Total users processed: +5\n/);
    const after = on.simulator.stats().state;
    expect(after.events).toBe(before.events);
    expect(after.repeatedEvents).toBe(before.repeatedEvents + 4);
    const second = await runToEnd(['deliver'], on.env);
    expect(second.code).toBe(3);
    expect(second.stderr).toContain('STATE_DIR');
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/iterable_sync_deliveries_total\{outcome="refused"\} 1\n/);
    expect(metrics).toMatch(/iterable_sync_captured_rows_total\{kind="page_views.insert"\} 2\n/);
    program.kill('SIGTERM');
    const { code, stdout, stderr } = await program.ended;
    expect(code).toBe(0);
    const log = readFileSync(on.env['LOG_FILE'] ?? '', 'utf8');
    for (const text of [stdout, stderr, log, metrics]) {
      expect(text).not.toContain('email.com');
      expect(text).not.toContain('test-key');
    }
  });

  it('waits while Iterable is down, says why on /readyz, and sends everything when it is back', async () => {
    await using on = await stage();
    await using program = new Program(['run'], on.env);
    const url = await program.ready();
    await until('the seeded users are there', () => Promise.resolve(on.simulator.users.size === 3));
    await on.simulator.setFaults({ outage: 'unavailable' });
    await on.database.connection.query(
      "UPDATE customers SET plan_type = 'pro'; INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers",
    );
    await until('the outage is seen', async () => {
      const response = await fetch(`${url}/readyz`);
      return response.status === 503 && (await response.text()).includes('iterable');
    });
    await on.simulator.setFaults({});
    await until('everyone is there', () => Promise.resolve(on.simulator.users.size === 10));
    await until('it is ready again', async () => (await fetch(`${url}/readyz`)).status === 200);
  });
});

describe('the command line', () => {
  it('names every missing setting in one message and exits 2', async () => {
    const { code, stderr } = await runToEnd(['run'], {});
    expect(code).toBe(2);
    for (const name of ['DB_HOST', 'DB_USER', 'DB_PASSWORD', 'DB_NAME', 'ITERABLE_API_KEY']) {
      expect(stderr).toContain(`${name}: is not set`);
    }
  });

  it('names the nearest command and option for one that does not exist', async () => {
    const command = await runToEnd(['backfil'], {});
    expect([command.code, command.stderr]).toEqual([
      2,
      expect.stringContaining('Did you mean backfill?'),
    ]);
    const option = await runToEnd(['backfill', '--dryrun'], {});
    expect([option.code, option.stderr]).toEqual([
      2,
      expect.stringContaining('Did you mean --dry-run?'),
    ]);
  });

  it('exits 3 with one sentence when the database can not be reached', async () => {
    await using on = await stage();
    const { code, stderr } = await runToEnd(['backfill'], { ...on.env, DB_PORT: '1' });
    expect(code).toBe(3);
    expect(stderr).toContain('can not be reached');
  });

  it('refuses to set up a database that has the tables, and does it with --reset', async () => {
    await using on = await stage();
    const refused = await runToEnd(['setup-db'], on.env);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--reset')]);
    expect((await runToEnd(['setup-db', '--reset'], on.env)).code).toBe(0);
  });

  it('checks everything with doctor, also when something fails', async () => {
    await using on = await stage();
    expect((await runToEnd(['doctor'], on.env)).code).toBe(0);
    const broken = await runToEnd(['doctor', '--json'], { ...on.env, ITERABLE_API_KEY: 'wrong' });
    expect(broken.code).toBe(3);
    const { checks } = JSON.parse(broken.stdout) as { checks: { name: string; ok: boolean }[] };
    expect(checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['Iterable: key']);
  });
});
