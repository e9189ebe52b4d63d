import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Program, runToEnd, until } from '../support/program.ts';
import { addPros, stage } from '../support/stage.ts';

/** Stands before the database; a connection that sends this text gets no answer any more. */
async function holdingBack(
  text: string,
  target: { host: string; port: number },
): Promise<AsyncDisposable & { port: number; readonly heldBack: number }> {
  const sockets = new Set<Socket>();
  let heldBack = 0;
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    let isHeld = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    upstream.on('data', (chunk: Buffer) => void client.write(chunk));
    client.on('data', (chunk: Buffer) => {
      if (!isHeld && chunk.includes(text)) {
        isHeld = true;
        heldBack += 1;
      }
      if (!isHeld) upstream.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get heldBack() {
      return heldBack;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('a backfill', () => {
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

  // Guards the order in which users are looked at once more: only then are they done.
  it.each(['SIGINT', 'SIGKILL'] as const)(
    'that was ended by %s repeats with --resume what was in flight, and no more',
    async (signal) => {
      await using on = await stage();
      await addPros(on, 1_500);
      await using program = new Program(['backfill'], on.env);
      await until('half is sent', () => Promise.resolve(on.simulator.stats().state.events > 750));
      program.kill(signal);
      await program.ended;
      const rest = await runToEnd(['backfill', '--resume'], on.env);
      expect(rest.code, rest.stderr).toBe(0);
      expect(rest.stderr).toContain('resuming after user');
      expect(on.simulator.users.size).toBe(1_503);
      // At most 200 wait for their turn at once, and the place is saved ten times a second.
      expect(on.simulator.stats().state.repeatedEvents).toBeLessThan(300);
    },
  );

  // Guards the order in BulkPipeline: the place moves past a page only once all before it are through.
  it('in bulk that was killed with several pages under way leaves nobody out with --resume', async () => {
    await using on = await stage();
    await addPros(on, 5_500);
    await on.simulator.setFaults({ latency: { '*': { ms: 300 } } });
    await using program = new Program(['backfill', '--bulk'], on.env);
    await until('two pages are there', () =>
      Promise.resolve(on.simulator.stats().state.events > 1_500),
    );
    program.kill('SIGKILL');
    await program.ended;
    await until('what was out has ended', () =>
      Promise.resolve(on.simulator.stats().concurrent === 0),
    );
    await on.simulator.setFaults({});
    const before = on.simulator.stats().state.events;
    const rest = await runToEnd(['backfill', '--bulk', '--resume'], on.env);
    expect(rest.code, rest.stderr).toBe(0);
    expect(rest.stderr).toContain('resuming');
    const { state, order } = on.simulator.stats();
    expect(state).toMatchObject({ users: 5_503, events: 5_503 });
    expect(state.repeatedEvents).toBeLessThanOrEqual(before);
    expect(order).toEqual({ trackDuringUpdate: 0, overlappingSameUser: 0 });
  });

  it('that was stopped before anybody was done is resumed with the first', async () => {
    await using on = await stage();
    await on.simulator.setFaults({ latency: { '*': { ms: 60_000 } } });
    await using program = new Program(['backfill'], { ...on.env, ITERABLE_TIMEOUT_MS: '500' });
    await until('it has begun', () => Promise.resolve(on.simulator.stats().concurrent > 0));
    program.kill('SIGINT');
    expect((await program.ended).code).toBe(130);
    await on.simulator.setFaults({});
    const { code, stderr } = await runToEnd(['backfill', '--resume'], on.env);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('resuming: nobody was done');
    expect(stderr).not.toContain('nothing to resume');
  });

  // Guards ResumeFile.begin: else an older run's place would be taken for this one's.
  it('that was killed early is not resumed where an older one had stopped', async () => {
    await using on = await stage();
    const file = join(on.env['STATE_DIR'] ?? '', 'backfill.json');
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '{"last_user_id":"999999"}\n');
    await on.simulator.setFaults({ latency: { '*': { ms: 60_000 } } });
    await using program = new Program(['backfill'], on.env);
    await until('it has begun', () => Promise.resolve(on.simulator.stats().concurrent > 0));
    program.kill('SIGKILL');
    await program.ended;
    await on.simulator.setFaults({});
    const { code, stderr } = await runToEnd(['backfill', '--resume'], on.env);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('resuming: nobody was done');
    expect(on.simulator.users.size).toBe(3);
  });

  it('that had another rule or project is not resumed, since others are before its place', async () => {
    await using on = await stage();
    await runToEnd(['backfill', '--limit', '2'], on.env);
    const changed: Record<string, string> = { ...on.env, RULE_PAGES: 'home' };
    const { code, stderr } = await runToEnd(['backfill', '--resume'], changed);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('is not the one of the backfill to resume');
    expect(on.simulator.users.has('anna.martinez@email.com')).toBe(true);
    expect(on.simulator.stats().state.repeatedEvents).toBe(0);
    // Sarah's latest view of home, beside that of settings which the first one sent.
    expect(on.simulator.users.get('sarah.johnson@email.com')?.events.size).toBe(2);
  });

  it('sends without knowing how many there are, however long the count takes', async () => {
    await using on = await stage();
    const { host, port } = on.database.settings;
    await using proxy = await holdingBack('COUNT(*) AS eligible', { host, port });
    const env = { ...on.env, DB_HOST: '127.0.0.1', DB_PORT: String(proxy.port) };
    await using program = new Program(['backfill'], env);
    await until('all are there', () => Promise.resolve(on.simulator.users.size === 3));
    const { code, stdout, stderr } = await program.ended;
    expect(code, stderr).toBe(0);
    expect(proxy.heldBack).toBe(1);
    expect(stdout).toMatch(/Total users processed: +3\n/);
  });
});
