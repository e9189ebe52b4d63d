import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RECONCILER_DEFAULTS } from '../../src/deliver/reconciler-options.ts';
import { EXTENT } from '../support/extent.ts';
import { Pipeline } from '../support/pipeline.ts';
import { until } from '../support/program.ts';
import { injectServices } from '../support/services.ts';
import { withSlack } from '../support/slack.ts';

const USERS = 3_000;
const VIEWS_A_STATEMENT = 10_000;
/** Said in the README. */
const MEMORY_MB_MAX = 500;

async function memoryPeakMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

/** Customers 1_000_000 and up, all eligible once they have a view. */
async function addUsers({ connection }: Pipeline, users: number): Promise<void> {
  await connection.query(
    `INSERT INTO customers (id, email, first_name, last_name, plan_type)
     SELECT 1000000 + n, CONCAT('load', n, '@example.org'), 'A', 'B', 'pro'
     FROM (SELECT ROW_NUMBER() OVER () - 1 AS n FROM information_schema.columns a, information_schema.columns b LIMIT ?) AS numbers`,
    [users],
  );
}

/** Views of these users in turn, in one statement. */
async function addViews({ connection }: Pipeline, views: number, users: number): Promise<void> {
  await connection.query(
    `INSERT INTO page_views (user_id, page, event_time)
     SELECT 1000000 + n % ?, 'pricing', NOW()
     FROM (SELECT ROW_NUMBER() OVER () - 1 AS n FROM information_schema.columns a, information_schema.columns b LIMIT ?) AS numbers`,
    [users, views],
  );
}

const say = (line: string): void => void process.stderr.write(`load: ${line}\n`);

describe('under load', () => {
  // Guards the publish queue's bound (binlog.pause), Reconciler.room and UserQueue's coalescing.
  it.each(['embedded', 'Kafka'] as const)(
    'an outage under a hundredfold load: bounded memory, then two calls a user, on %s topics',
    async (topics) => {
      await using pipeline = await Pipeline.open({
        database: injectServices().mysql,
        topics,
        customers: 0,
      });
      await addUsers(pipeline, USERS);
      await using program = pipeline.start();
      const url = await program.ready();
      await pipeline.settle([url]);
      await pipeline.simulator.setFaults({ outage: 'unavailable' });
      const callsBefore = pipeline.history.calls.length;
      const beganMs = performance.now();
      for (let done = 0; done < EXTENT.views; done += VIEWS_A_STATEMENT) {
        await addViews(pipeline, VIEWS_A_STATEMENT, USERS);
      }
      const seconds = (performance.now() - beganMs) / 1_000;
      await sleep(3_000);
      await pipeline.simulator.setFaults({});
      const backMs = performance.now();
      const taken = (): number => pipeline.history.calls.length - callsBefore;
      await until('everyone is there', () => Promise.resolve(taken() >= 2 * USERS), 60_000);
      const drainS = (performance.now() - backMs) / 1_000;
      await pipeline.settle([url], 120_000);
      const memoryMb = await memoryPeakMb(program.pid);
      say(
        `${topics}: ${EXTENT.views} views in ${seconds.toFixed(1)} s while Iterable was away; then ${USERS} users in ${drainS.toFixed(1)} s (${Math.round(USERS / drainS)}/s), ${taken()} calls, peak ${Math.round(memoryMb)} MB`,
      );
      expect(await pipeline.differences(), program.stderr.slice(-2_000)).toEqual([]);
      // Two calls for each user, however many views; and two for those that waited with an answer.
      expect(taken()).toBeLessThanOrEqual(2 * (USERS + RECONCILER_DEFAULTS.deliveriesMax));
      expect(memoryMb).toBeLessThan(MEMORY_MB_MAX);
    },
    240_000,
  );

  // Guards DeliveryStream.stop and Sender.stop: what is out ends, and is committed.
  it.each(['embedded', 'Kafka'] as const)(
    'a stop ends within 10 s, and the next start repeats no more than was under way, on %s topics',
    async (topics) => {
      await using pipeline = await Pipeline.open({
        database: injectServices().mysql,
        topics,
        customers: 0,
      });
      await pipeline.simulator.setFaults({ latency: { '*': { ms: 300, jitterMs: 300 } } });
      await addUsers(pipeline, USERS);
      await addViews(pipeline, USERS, USERS);
      await using program = pipeline.start();
      await program.ready();
      await until('it is under way', () => Promise.resolve(pipeline.history.calls.length > 1_000));
      const underWay = pipeline.simulator.stats().concurrent;
      const beganMs = performance.now();
      program.kill('SIGTERM');
      const ended = await program.ended;
      const stopMs = performance.now() - beganMs;
      expect(ended.code, ended.stderr).toBe(0);
      await using next = pipeline.start();
      await pipeline.settle([await next.ready()], 60_000);
      const repeats = pipeline.simulator.stats().state.repeatedEvents;
      say(
        `${topics}: stopped in ${Math.round(stopMs)} ms with ${underWay} calls under way; the next start repeated ${repeats} events`,
      );
      expect(await pipeline.differences(), next.stderr.slice(-2_000)).toEqual([]);
      expect(stopMs).toBeLessThan(withSlack(10_000));
      expect(repeats).toBeLessThanOrEqual(underWay);
    },
    120_000,
  );

  it('the metrics say what the database and Iterable saw', async () => {
    await using pipeline = await Pipeline.open({
      database: injectServices().mysql,
      topics: 'embedded',
    });
    await using program = pipeline.start();
    const url = await program.ready();
    await pipeline.settle([url]);
    const viewsBefore = pipeline.workload.viewsCommitted;
    await pipeline.workload.steps(300);
    await pipeline.settle([url]);
    await sleep(500);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const value = (name: string): number => {
      const line = metrics.split('\n').find((one) => one.startsWith(`iterable_sync_${name} `));
      return Number(line?.split(' ').at(-1) ?? 0);
    };
    const { endpoints } = pipeline.simulator.stats();
    for (const endpoint of ['users/update', 'events/track'] as const) {
      const counted = value(`iterable_requests_total{endpoint="${endpoint}",status="200"}`);
      expect(counted).toBe(endpoints[endpoint].statuses['200']);
    }
    expect(value('captured_rows_total{kind="page_views.insert"}')).toBe(
      pipeline.workload.viewsCommitted - viewsBefore,
    );
    expect(value('deliveries_total{outcome="sent"}')).toBe(endpoints['events/track'].requests);
    expect(value('deliveries_total{outcome="refused"}')).toBe(0);
    const names = ['sent', 'superseded', 'ineligible', 'refused'];
    const outcomes = names.map((outcome) => value(`deliveries_total{outcome="${outcome}"}`));
    const status = (await (await fetch(`${url}/status`)).json()) as {
      deliver: { lag_messages: Record<string, number> };
    };
    expect(Object.values(status.deliver.lag_messages)).toEqual([0, 0]);
    expect(outcomes.reduce((sum, n) => sum + n, 0)).toBeGreaterThan(300);
  }, 120_000);
});
