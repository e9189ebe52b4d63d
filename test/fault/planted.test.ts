import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Pipeline } from '../support/pipeline.ts';
import { injectServices } from '../support/services.ts';

/** The suite must be able to fail: a program with a fault is found by the same checks. */
describe.concurrent('a program with a planted fault', () => {
  it('that loses a row now and then is found', async () => {
    await using pipeline = await Pipeline.open({
      database: injectServices().mysql,
      topics: 'embedded',
      seed: 7,
    });
    await using program = pipeline.start('run', { PLANT: 'lost row' });
    const url = await program.ready();
    await pipeline.workload.steps(200);
    await pipeline.settle([url], 5_000);
    expect((await pipeline.problems()).some((problem) => problem.startsWith('hole'))).toBe(true);
  }, 60_000);

  it('that commits its offsets before the work is done is found', async () => {
    // What was under way at the kill is a matter of the machine's speed too.
    let isFound = false;
    for (let tries = 0; tries < 4 && !isFound; tries++) isFound = await hasHole(7 + tries);
    expect(isFound).toBe(true);
  }, 180_000);
});

/** Of a run that commits early, is killed in the midst of its calls, and is started again. */
async function hasHole(seed: number): Promise<boolean> {
  await using pipeline = await Pipeline.open({
    database: injectServices().mysql,
    topics: 'embedded',
    seed,
  });
  await pipeline.simulator.setFaults({ latency: { '*': { ms: 1_000 } } });
  {
    await using program = pipeline.start('run', { PLANT: 'early offset' });
    await program.ready();
    await pipeline.workload.steps(100);
    await sleep(1_500);
    program.kill('SIGKILL');
    await program.ended;
  }
  await pipeline.simulator.setFaults({});
  await using program = pipeline.start();
  await pipeline.settle([await program.ready()], 5_000);
  return (await pipeline.problems()).some((problem) => problem.startsWith('hole'));
}
