import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startGateway } from '../support/gateway.ts';
import { isCaughtUp } from '../support/pipeline.ts';
import { Program, runToEnd, until } from '../support/program.ts';
import { type Stage, addPros, results, stage } from '../support/stage.ts';

const POISONED = 100;
const HEALTHY = 20;
/** Customers `many<n>@example.com`: the first ones are those whose calls always fail. */
const isPoisoned = (body: string, poisoned = POISONED): boolean =>
  [...body.matchAll(/many(\d+)@example\.com/g)].some(([, n]) => Number(n) <= poisoned);

const eventsOf = ({ simulator }: Stage): string[] =>
  simulator
    .deliveries()
    .filter(({ endpoint }) => endpoint === 'events/track')
    .map(({ email }) => email ?? '');

async function metric(url: string, outcome: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`deliveries_total\\{outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1]);
}

describe.concurrent('records that always fail', () => {
  // Guards the line behind (UserQueue), FailureRun, and the lane behind of the rate limiter.
  it.each([
    ['answer 500', { status: 500, body: '{"code":"GenericError","msg":"no"}' }],
    ['are never answered', { delayMs: 600_000 }],
  ])(
    'users whose calls %s hold up nobody else',
    async (_what, obstacle) => {
      await using world = await stage();
      await using gateway = await startGateway(world.simulator.url, (_path, body) =>
        isPoisoned(body) ? obstacle : null,
      );
      await addPros(world, POISONED + HEALTHY);
      await using program = new Program(['run'], {
        ...world.env,
        ITERABLE_API_BASE_URL: gateway.url,
        ITERABLE_TIMEOUT_MS: '2000',
      });
      const url = await program.url();
      // Where the machine is slow, an answer comes too late, and the call is made again.
      const healthy = (): number =>
        new Set(eventsOf(world).filter((email) => email.startsWith('many'))).size;
      await until('the healthy are reached', () => Promise.resolve(healthy() === HEALTHY), 45_000);
      // Also one that comes now, and one with very many views of its own meanwhile.
      const { connection } = world.database;
      await connection.query(
        `INSERT INTO page_views (user_id, page)
       SELECT c.id, 'pricing' FROM customers c, information_schema.columns n
       WHERE c.email = 'many1@example.com' LIMIT 2000`,
      );
      await connection.query(
        "INSERT INTO customers (email, plan_type) VALUES ('late@x.io', 'pro')",
      );
      await connection.query(
        "INSERT INTO page_views (user_id, page) SELECT id, 'settings' FROM customers WHERE email = 'late@x.io'",
      );
      const isLateThere = (): Promise<boolean> =>
        Promise.resolve(eventsOf(world).includes('late@x.io'));
      await until('whoever comes later is reached', isLateThere, 30_000);
      expect(await metric(url, 'refused')).toBe(0);
      expect(program.stderr).not.toContain('refuses the API key');
    },
    120_000,
  );

  // Guards KeyQuestion in IterableCalls.
  it('a 403 for one user (a firewall) refuses that user, and the next goes on', async () => {
    await using world = await stage();
    await using gateway = await startGateway(world.simulator.url, (_path, body) =>
      isPoisoned(body, 3) ? { status: 403 } : null,
    );
    await addPros(world, 20);
    const env = { ...world.env, ITERABLE_API_BASE_URL: gateway.url };
    const { code, stderr } = await runToEnd(['backfill'], env);
    expect(code, stderr).toBe(1);
    expect(results(env).content).toMatchObject({ total_failures: 3 });
    const { stdout } = await runToEnd(['dead-letters', 'list'], env);
    expect(stdout.match(/HTTP 403/g)).toHaveLength(3);
    expect(stderr).not.toContain('refuses the API key');
  }, 60_000);

  // Guards isIterables: nothing that another host answers says anything about a record.
  it.each([
    ['404 of HTML', { status: 404 }],
    ['200 of HTML', { status: 200 }],
    ['200 of other JSON', { status: 200, body: '{"ok":true}' }],
  ])(
    '%s for every call waits, and names the setting; nothing is refused',
    async (_what, page) => {
      await using world = await stage();
      let isMaintenance = true;
      await using gateway = await startGateway(world.simulator.url, () =>
        isMaintenance ? page : null,
      );
      const env = { ...world.env, ITERABLE_API_BASE_URL: gateway.url };
      await using program = new Program(['run'], env);
      const url = await program.url();
      await until('it says so', () =>
        Promise.resolve(program.stderr.includes('ITERABLE_API_BASE_URL may be wrong')),
      );
      const ready = await fetch(`${url}/readyz`);
      expect([ready.status, await ready.text()]).toEqual([
        503,
        expect.stringContaining('iterable'),
      ]);
      const doctor = await runToEnd(['doctor'], env);
      expect(doctor.stdout).not.toContain('key: accepted');
      expect(doctor.code).toBe(3);
      expect(eventsOf(world)).toEqual([]);
      isMaintenance = false;
      await until('it goes on', async () => (await isCaughtUp(url)) && eventsOf(world).length > 0);
      expect(await metric(url, 'refused')).toBe(0);
      expect((await runToEnd(['dead-letters', 'list'], env)).stdout).toContain('No dead letters');
    },
    90_000,
  );

  // Guards AddressOrder.
  it('an address that changes hands while a call is on its way belongs to who has it last', async () => {
    await using world = await stage();
    let isSlow = true;
    await using gateway = await startGateway(world.simulator.url, (path, body) => {
      if (!isSlow || !path.endsWith('users/update') || !body.includes('"Ann"')) return null;
      isSlow = false;
      return { delayMs: 3_000 };
    });
    const { connection } = world.database;
    await using program = new Program(['run'], {
      ...world.env,
      ITERABLE_API_BASE_URL: gateway.url,
    });
    const url = await program.ready();
    const addUser = async (name: string, email: string): Promise<void> => {
      await connection.query(
        "INSERT INTO customers (email, first_name, plan_type) VALUES (?, ?, 'pro')",
        [email, name],
      );
      await connection.query(
        "INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers WHERE email = ?",
        [email],
      );
    };
    await addUser('Ann', 'hands@x.io');
    await until('the first call is under way', () => Promise.resolve(!isSlow));
    await connection.query("UPDATE customers SET email = 'ann@x.io' WHERE first_name = 'Ann'");
    await addUser('Bob', 'hands@x.io');
    await sleep(500);
    const nameAt = (email: string): unknown =>
      world.simulator.users.get(email)?.dataFields['first_name'];
    await until(
      'both are there',
      async () => (await isCaughtUp(url)) && nameAt('ann@x.io') === 'Ann',
    );
    await sleep(3_000);
    expect(nameAt('hands@x.io')).toBe('Bob');
  }, 90_000);
});
