import { describe, expect, it } from 'vitest';
import { Pipeline, SEED } from '../support/pipeline.ts';
import { runToEnd, until } from '../support/program.ts';
import { injectServices } from '../support/services.ts';
import { SmallDisk, canMount } from '../support/small-disk.ts';
import { addPros, results, stage } from '../support/stage.ts';
import { withSlack } from '../support/slack.ts';

const RECOVERY_MS_MAX = 15_000;

describe.runIf(canMount)(`a full disk (seed ${SEED})`, () => {
  // Guards EmbeddedPublisher's waiting for room: with Iterable away nothing is trimmed either.
  it.concurrent(
    'under the embedded topics costs no row, and is over when there is room',
    async () => {
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
      await until('it is not ready, and says why', async () =>
        /topics: .*(the topics have taken nothing for|disk is full)/.test(
          await (await fetch(`${url}/readyz`)).text(),
        ),
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
      expect(recoveryMs).toBeLessThan(withSlack(RECOVERY_MS_MAX));
      program.kill('SIGTERM');
      expect((await program.ended).code).toBe(0);
    },
    120_000,
  );

  // Guards ResultsFile.flush and Batch's timers: a full disk must be no unexpected error.
  it.concurrent(
    'under the results of a backfill ends it with a sentence, and --resume sends the rest',
    async () => {
      using disk = new SmallDisk('64k');
      await using on = await stage();
      await addPros(on, 2_000);
      const env = { ...on.env, RESULTS_DIR: disk.path };
      const { code, stdout, stderr } = await runToEnd(['backfill'], env);
      expect(code, stderr).toBe(3);
      expect(stderr).toMatch(/"msg":"RESULTS_DIR \S+ cannot be written: ENOSPC/);
      expect(stderr).toContain('--resume');
      expect(stderr).not.toContain('unexpected');
      expect(stdout).toMatch(/Not attempted: +[1-9]/);
      const { content } = results(env);
      expect(content.records.length).toBeGreaterThan(0);
      expect(content.total_users).toBe(on.simulator.users.size);
      disk.resize('8m');
      const rest = await runToEnd(['backfill', '--resume'], env);
      expect(rest.code, rest.stderr).toBe(0);
      expect(on.simulator.users.size).toBe(2_003);
    },
    120_000,
  );
});
