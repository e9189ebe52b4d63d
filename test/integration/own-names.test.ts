import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { differences } from '../support/expected.ts';
import { SEED } from '../support/extent.ts';
import { isCaughtUp } from '../support/pipeline.ts';
import { Program, environment, runToEnd, until } from '../support/program.ts';
import { ODD_NAMES, dropRenamed, prepareRenamed } from '../support/renamed.ts';
import {
  DATABASES,
  freshDatabase,
  freshTopicPrefix,
  injectServices,
  startOwnMariadb,
} from '../support/services.ts';
import { Workload } from '../support/workload.ts';

describe.each(DATABASES)('tables and columns of other names, on %s', (flavour) => {
  it(`come to exactly what the rule says in Iterable, by stream and by backfill (seed ${SEED})`, async () => {
    await using database = await freshDatabase(injectServices()[flavour]);
    const { connection, settings } = database;
    await using _views = {
      [Symbol.asyncDispose]: () => dropRenamed(connection, settings.name),
    };
    const workload = new Workload(connection, SEED, 20, undefined, (on) =>
      prepareRenamed(on, settings.name),
    );
    await workload.setUp();
    await workload.steps(30);
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    const env = environment(settings, simulator.url, {
      ...ODD_NAMES,
      KAFKA_TOPIC: freshTopicPrefix(),
    });
    await using program = new Program(['run'], env);
    const url = await program.ready();
    await workload.steps(200);
    let problems: string[] = [];
    await until('the stream has caught up', async () => {
      if (!(await isCaughtUp(url))) return false;
      problems = await differences(connection, simulator);
      return problems.length === 0;
    }).catch((error: unknown) => problems.push(String(error)));
    expect(problems, program.stderr).toEqual([]);
    program.kill('SIGTERM');
    expect((await program.ended).code).toBe(0);

    await using other = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    const at = { ...env, ITERABLE_API_BASE_URL: other.url };
    const backfill = await runToEnd(['backfill', '--bulk'], at);
    expect(backfill.code, backfill.stderr).toBe(0);
    expect(await differences(connection, other)).toEqual([]);
    const doctor = await runToEnd(['doctor', '--json'], at);
    expect(doctor.code, doctor.stdout).toBe(0);
  }, 120_000);
});

// Guards the spellings of tablesOf: such a server logs every name in lower case.
it('names of tables may be in any case where the server tells none apart', async () => {
  await using server = await startOwnMariadb(['--lower-case-table-names=1']);
  await using database = await freshDatabase(server);
  const { connection, settings } = database;
  await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
  const names = {
    CUSTOMERS_TABLE: 'clIENTS',
    PAGE_VIEWS_TABLE: 'Visits',
    COLUMN_NAMES: 'customers.id=No,user_id=Visitor,plan_type=tier',
  };
  const env = environment(settings, simulator.url, names);
  for (const command of ['setup-db', 'setup-db --reset']) {
    const { code, stderr } = await runToEnd(command.split(' '), env);
    expect(code, stderr).toBe(0);
  }
  await using program = new Program(['run'], env);
  await program.ready();
  await until('the first are there', () => Promise.resolve(simulator.users.size === 3));
  await connection.query("INSERT INTO visits (visitor, page) VALUES (9, 'pricing')");
  await connection.query("UPDATE clients SET tier = 'pro' WHERE no = 4");
  await until('what was written is there', () => Promise.resolve(simulator.users.size === 5));
  const doctor = await runToEnd(['doctor', '--json'], env);
  const { checks } = JSON.parse(doctor.stdout) as { checks: { name: string; ok: boolean }[] };
  const failed = checks.filter(({ name, ok }) => !ok && name !== 'database: sync');
  expect(failed).toEqual([]);
});
