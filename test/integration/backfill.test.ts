import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Simulator } from '../../src/simulator/simulator.ts';
import { differences } from '../support/expected.ts';
import { Program, runToEnd, until } from '../support/program.ts';
import { addPros, results, stage } from '../support/stage.ts';
import { Workload } from '../support/workload.ts';

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
    // Users are sent at the same time, and each record is written when its calls have ended.
    expect(content.records.map(({ email }) => email).toSorted()).toEqual([
      'emma.davis@email.com',
      'mike.chen@email.com',
      'sarah.johnson@email.com',
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

  it('in bulk, keeps of the answer in each record what is about its user, and nothing of others', async () => {
    await using on = await stage();
    await addPros(on, 300);
    await on.simulator.setFaults({
      refuse: [
        { email: 'mike.chen@email.com', status: 400, code: 'InvalidEmailAddressError' },
        { email: 'many7@example.com', status: 400, code: 'InvalidEmailAddressError' },
      ],
    });
    expect((await runToEnd(['backfill', '--bulk'], on.env)).code).toBe(1);
    const { content } = results(on.env);
    expect(content.records).toHaveLength(303);
    expect(content.records.filter((record) => record.overall_success)).toHaveLength(301);
    for (const record of content.records) {
      const text = JSON.stringify(record);
      expect(text.match(/[\w.]+@[\w.]+/g)).toEqual([record.email]);
      expect(text.length).toBeLessThan(600);
    }
  });

  it('says so and exits 0 when the rule finds nobody', async () => {
    await using on = await stage();
    await on.database.connection.query('DELETE FROM page_views');
    const { code, stdout } = await runToEnd(['backfill'], on.env);
    expect(code).toBe(0);
    expect(stdout).toBe('No pro users with recent pricing/settings page views found\n');
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

  // Guards #unverified in Batch.
  it('sends a user again who changes meanwhile, and counts each once', async () => {
    await using on = await stage();
    await on.simulator.setFaults({ latency: { '*': { ms: 500 } } });
    await using program = new Program(['backfill'], on.env);
    await until('it is sending', () => Promise.resolve(on.simulator.stats().concurrent === 3));
    await on.database.connection.query("UPDATE customers SET first_name = 'Changed'");
    const { code, stdout, stderr } = await program.ended;
    expect(code, stderr).toBe(0);
    expect(on.simulator.stats().state.repeatedEvents).toBe(3);
    const names = [...on.simulator.users.values()].map(
      ({ dataFields }) => dataFields['first_name'],
    );
    expect(names).toEqual(['Changed', 'Changed', 'Changed']);
    expect(stdout).toMatch(/Total users processed: +3\n/);
    expect(results(on.env).content.records).toHaveLength(3);
  });

  it('stops cleanly on a signal with exit code 130, and the results file is whole', async () => {
    await using on = await stage();
    await addPros(on, 900);
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

  // Guards Batch.sendBeside: what is sent in bulk is not the reconciler's, and has to be waited for.
  it('in bulk, stopped half way through a page, lets the page end', async () => {
    await using on = await stage();
    await addPros(on, 1_500);
    await on.simulator.setFaults({ latency: { '*': { ms: 1_000 } } });
    await using program = new Program(['backfill', '--bulk'], on.env);
    await until('the first page is there', () => Promise.resolve(on.simulator.users.size > 500));
    expect(on.simulator.stats().state.events).toBe(0);
    program.kill('SIGTERM');
    const { code, stdout, stderr } = await program.ended;
    expect(code, stderr).toBe(130);
    const { content } = results(on.env);
    expect(content.total_users).toBe(on.simulator.users.size);
    expect(content.records).toHaveLength(content.total_users);
    expect(on.simulator.stats().state.events).toBe(content.total_users);
    expect(stdout).toContain(`Total users processed:              ${content.total_users}\n`);
    await on.simulator.setFaults({});
    const rest = await runToEnd(['backfill', '--bulk', '--resume'], on.env);
    expect(rest.code, rest.stderr).toBe(0);
    expect(on.simulator.users.size).toBe(1_503);
    expect(on.simulator.stats().state.repeatedEvents).toBe(0);
  });

  it.each(['RESULTS_DIR', 'STATE_DIR'])(
    'sends nothing where %s cannot be written, and says so',
    async (name) => {
      await using on = await stage();
      const env = { ...on.env, [name]: join(on.env['LOG_FILE'] ?? '', 'below a file') };
      await runToEnd(['doctor'], on.env); // The log file is there.
      const { code, stderr } = await runToEnd(['backfill'], env);
      expect(code, stderr).toBe(2);
      expect(stderr).toContain(`"msg":"${name} ${env[name]} cannot be written`);
      expect(on.simulator.stats().state.users).toBe(0);
    },
  );
});
