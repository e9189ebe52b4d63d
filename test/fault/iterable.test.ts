import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Faults } from '../../src/simulator/simulator.ts';
import { Pipeline, SEED } from '../support/pipeline.ts';
import { injectServices } from '../support/services.ts';
import { withSlack } from '../support/slack.ts';

const RECOVERY_MS_MAX = 15_000;

const TROUBLES: readonly (readonly [string, Faults])[] = [
  [
    '429 with and without Retry-After',
    {
      random: [
        { kind: 'status', status: 429, rate: 0.1, retryAfterSeconds: 1 },
        { kind: 'status', status: 429, rate: 0.1 },
      ],
    },
  ],
  ['500s', { random: [{ kind: 'status', status: 500, rate: 0.3 }] }],
  [
    '502s in HTML, and 408s',
    {
      random: [
        { kind: 'status', status: 502, rate: 0.2 },
        { kind: 'status', status: 408, rate: 0.2 },
      ],
    },
  ],
  ['503 for a while', { outage: 'unavailable', outageMs: 6_000 }],
  ['a refused connection for a while', { outage: 'refuse', outageMs: 4_000 }],
  [
    'calls that hang, carried out or not',
    {
      random: [
        { kind: 'hang', rate: 0.1, applied: true },
        { kind: 'hang', rate: 0.1 },
      ],
    },
  ],
  [
    'resets after the request was read',
    {
      random: [
        { kind: 'reset', rate: 0.2, applied: true },
        { kind: 'reset', rate: 0.2 },
      ],
    },
  ],
  ["pages with status 200 that are not Iterable's", { random: [{ kind: 'html', rate: 0.3 }] }],
  ['slow bodies', { random: [{ kind: 'slowBody', rate: 0.3, durationMs: 700 }] }],
  ['a key that is refused, and accepted later', { unauthorized: true }],
];

describe.concurrent(`trouble at Iterable (seed ${SEED})`, () => {
  // Guards IterableCalls.call (retries), CircuitBreaker, and readResponse.
  it.each(TROUBLES)(
    '%s: nothing is lost, nothing refused for good, and it goes on by itself',
    async (what, faults) => {
      const { mysql, mariadb } = injectServices();
      await using pipeline = await Pipeline.open({
        database: TROUBLES.findIndex(([name]) => name === what) % 2 === 0 ? mysql : mariadb,
        topics: 'embedded',
        env: { ITERABLE_TIMEOUT_MS: '1500' },
      });
      await using program = pipeline.start();
      const url = await program.ready();
      await pipeline.workload.steps(20);
      await pipeline.settle([url]);
      await pipeline.simulator.setFaults({ seed: SEED, ...faults });
      const stopWriting = pipeline.write(15);
      await sleep(7_000);
      await stopWriting();
      await pipeline.simulator.setFaults({});
      const recoveryMs = await pipeline.converge();
      await pipeline.settle([url]);
      process.stderr.write(`iterable: ${what}: all there ${Math.round(recoveryMs)} ms after\n`);
      expect(await pipeline.problems(), program.stderr.slice(-3_000)).toEqual([]);
      expect(recoveryMs).toBeLessThan(withSlack(RECOVERY_MS_MAX));
      const metrics = await (await fetch(`${url}/metrics`)).text();
      expect(metrics).not.toMatch(/deliveries_total\{outcome="refused"\} [1-9]/);
      expect(program.stderr).not.toContain(pipeline.env['ITERABLE_API_KEY']);
    },
    120_000,
  );

  // Guards deadLetterOf, and keepDeadLetters before the offset moves on.
  it.each(['before dead letter', 'after dead letter'])(
    'a refusal is kept also when the program is killed %s',
    async (point) => {
      await using pipeline = await Pipeline.open({
        database: injectServices().mysql,
        topics: 'embedded',
      });
      await pipeline.simulator.setFaults({ forgotten: ['sarah.johnson@email.com'] });
      await using killed = pipeline.start('run', { CRASH_AT: `${point}:1` });
      expect((await killed.ended).code).toBeNull();
      await using program = pipeline.start();
      await pipeline.settle([await program.ready()], 10_000);
      await using list = pipeline.start('dead-letters list');
      const { stdout } = await list.ended;
      expect(stdout.match(/page-view-2\b/g)).toHaveLength(1);
      expect(stdout).toContain('ForgottenUserError');
    },
    60_000,
  );
});
