import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { differences } from '../support/expected.ts';
import { SEED } from '../support/extent.ts';
import { isCaughtUp } from '../support/pipeline.ts';
import { Program, environment, runToEnd, until } from '../support/program.ts';
import { ODD_NAMES, dropRenamed, prepareRenamed } from '../support/renamed.ts';
import { DATABASES, freshDatabase, freshTopicPrefix, injectServices } from '../support/services.ts';
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
