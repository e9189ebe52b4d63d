import { describe, expect, it } from 'vitest';
import { Pipeline, SEED } from '../support/pipeline.ts';
import { until } from '../support/program.ts';
import { injectServices } from '../support/services.ts';
import { SmallDisk, canMount } from '../support/small-disk.ts';

const RECOVERY_MS_MAX = 15_000;

describe.runIf(canMount)(`a full disk (seed ${SEED})`, () => {
  // Guards EmbeddedPublisher's waiting for room: with Iterable away nothing is trimmed either.
  it('under the embedded topics costs no row, and is over when there is room', async () => {
    using disk = new SmallDisk('1m');
    await using pipeline = await Pipeline.open({
      database: injectServices().mysql,
      topics: 'embedded',
      env: { STATE_DIR: disk.path },
    });
    await using program = pipeline.start();
    const url = await program.ready();
    await pipeline.simulator.setFaults({ outage: 'unavailable' });
    const stopWriting = pipeline.write(1);
    await until('the disk is full', () =>
      Promise.resolve(program.stderr.includes('free disk space under STATE_DIR')),
    );
    await pipeline.simulator.setFaults({});
    disk.resize('64m');
    const roomMs = performance.now();
    await stopWriting();
    await pipeline.converge();
    const recoveryMs = performance.now() - roomMs;
    await pipeline.settle([url]);
    process.stderr.write(`disk: all there ${Math.round(recoveryMs)} ms after there was room\n`);
    expect(await pipeline.problems(), program.stderr.slice(-3_000)).toEqual([]);
    expect(recoveryMs).toBeLessThan(RECOVERY_MS_MAX);
    program.kill('SIGTERM');
    expect((await program.ended).code).toBe(0);
  }, 120_000);
});
