import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Program, runToEnd, until } from '../support/program.ts';
import { stage } from '../support/stage.ts';

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
  // Below a folder of the system that takes no other: Node's own mkdir never returns there.
  it.each(['LOG_FILE', 'RESULTS_DIR', 'STATE_DIR'])(
    'ends with one error where %s cannot be written',
    async (name) => {
      await using on = await stage();
      await using program = new Program(['backfill'], { ...on.env, [name]: '/proc/no/such' });
      await until('it ends', () => Promise.resolve(program.hasEnded));
      const { code, stderr } = await program.ended;
      expect(code).toBe(2);
      expect(stderr).toContain(`"msg":"${name} /proc/no`);
      expect(stderr).toContain('cannot be written');
      expect(on.simulator.stats().state.users).toBe(0);
    },
  );

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

  it('exits 3 with one sentence when the database cannot be reached', async () => {
    await using on = await stage();
    const { code, stderr } = await runToEnd(['backfill'], {
      ...on.env,
      DB_PORT: '1',
      RULE_PAGE: 'x',
    });
    expect(code).toBe(3);
    expect(stderr).toContain(
      '"msg":"the database at 127.0.0.1:1 cannot be reached (nothing listens there, ECONNREFUSED); check DB_HOST and DB_PORT, and that it runs"}\n',
    );
    expect(stderr).toMatch(
      /"level":"warn",.*there is no setting RULE_PAGE; did you mean RULE_PAGES\?/,
    );
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
