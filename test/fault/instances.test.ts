import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Arrivals } from '../support/arrivals.ts';
import { Pipeline, SEED } from '../support/pipeline.ts';
import { Program, until } from '../support/program.ts';
import { Proxy } from '../support/proxy.ts';
import { injectServices } from '../support/services.ts';
import { randomFrom } from '../support/workload.ts';
import { withSlack } from '../support/slack.ts';

const TAKEOVER_MS_MAX = 10_000;
/** Low, so that these customers are enough to reach it all the time. */
const UPDATES_PER_SECOND = 40;
const CUSTOMERS = 1_500;

/** All of the customers have looked at a page that counts; about half of them are pro. */
async function withBacklog(arrivals: Arrivals): Promise<Pipeline> {
  const pipeline = await Pipeline.open({
    database: injectServices().mysql,
    topics: 'Kafka',
    customers: CUSTOMERS,
    env: { ITERABLE_USERS_UPDATE_PER_SECOND: String(UPDATES_PER_SECOND) },
    onArrival: (endpoint) => {
      if (endpoint === 'users/update') arrivals.note();
    },
  });
  const { connection, workload } = pipeline;
  await connection.query(
    "INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers",
  );
  await workload.goOn(connection);
  return pipeline;
}

async function capturing(program: Program): Promise<void> {
  await until('it captures', () =>
    Promise.resolve(program.stderr.includes('capture: streaming from')),
  );
}

describe(`several instances of capture (seed ${SEED})`, () => {
  // Guards takeLock and guardLock of src/source/mysql/lock.ts.
  it.concurrent.each(['mysql', 'mariadb'] as const)(
    'from %s: a standby takes over within 10 s, killed or cut off, without a hole',
    async (flavour) => {
      const server = injectServices()[flavour];
      await using pipeline = await Pipeline.open({ database: server, topics: 'Kafka' });
      await using proxy = await Proxy.open(() => server);
      const cutOff = { DB_HOST: '127.0.0.1', DB_PORT: String(proxy.port) };
      await using deliver = pipeline.start('deliver');
      await using first = pipeline.start('capture');
      await capturing(first);
      await using second = pipeline.start('capture', cutOff);
      await until('it stands by', () => Promise.resolve(second.stderr.includes('standing by')));
      const stopWriting = pipeline.write();
      await sleep(1_000);
      first.kill('SIGKILL');
      const killedMs = performance.now();
      await capturing(second);
      const afterKill = performance.now() - killedMs;
      await using third = pipeline.start('capture');
      await until('it stands by', () => Promise.resolve(third.stderr.includes('standing by')));
      // The machine of the active one is gone from the network: nobody closes anything.
      proxy.silence();
      proxy.takeNothing(true);
      const silentMs = performance.now();
      await capturing(third);
      const afterSilence = performance.now() - silentMs;
      await stopWriting();
      await pipeline.settle([await deliver.ready()]);
      expect(await pipeline.problems(), third.stderr).toEqual([]);
      process.stderr.write(
        `instances: ${flavour}: takeover ${Math.round(afterKill)} ms after a kill, ${Math.round(afterSilence)} ms after silence\n`,
      );
      expect(Math.max(afterKill, afterSilence)).toBeLessThan(withSlack(TAKEOVER_MS_MAX + 1_000));
    },
    120_000,
  );
});

describe(`several instances of deliver (seed ${SEED})`, () => {
  // Guards RateLimiter.setShare, RAISE_DELAY_MS and the reconciler's generations.
  it.concurrent(
    'killed, stopped and added under load, keep the limit and lose nothing',
    async () => {
      const random = randomFrom(SEED);
      using arrivals = new Arrivals();
      await using pipeline = await withBacklog(arrivals);
      await using capture = pipeline.start('capture');
      await capturing(capture);
      const stopWriting = pipeline.write(10);
      await using stack = new AsyncDisposableStack();
      const running: Program[] = [];
      const add = (): void => void running.push(stack.use(pipeline.start('deliver')));
      add();
      add();
      await sleep(4_000);
      for (const change of ['kill', 'add', 'stop', 'add', 'kill', 'add'] as const) {
        if (change === 'add') add();
        else {
          const [gone] = running.splice(Math.floor(random() * running.length), 1);
          gone?.kill(change === 'kill' ? 'SIGKILL' : 'SIGTERM');
        }
        await sleep(2_000 + random() * 3_000);
      }
      await stopWriting();
      await pipeline.settle(await Promise.all(running.map((program) => program.ready())), 90_000);
      const options = { changesHands: true };
      expect(await pipeline.problems(options), running.at(-1)?.stderr).toEqual([]);
      const most = arrivals.peak();
      process.stderr.write(`instances: ${arrivals.count} updates, at most ${most} in a second\n`);
      expect(most).toBeLessThanOrEqual(UPDATES_PER_SECOND);
      expect(most, 'there was enough to send').toBeGreaterThan(UPDATES_PER_SECOND * 0.7);
    },
    240_000,
  );

  // Guards KafkaMember.isCurrent: without it, the frozen one sends with its old share as it wakes.
  it.concurrent(
    'one of them frozen for longer than its session, keep the limit and the order',
    async () => {
      using arrivals = new Arrivals();
      await using pipeline = await withBacklog(arrivals);
      await using capture = pipeline.start('capture');
      await capturing(capture);
      await using frozen = pipeline.start('deliver');
      const url = await frozen.ready();
      const stopWriting = pipeline.write(10);
      await sleep(4_000);
      frozen.kill('SIGSTOP');
      await using other = pipeline.start('deliver');
      await until('the other one has the partitions', () =>
        Promise.resolve(other.stderr.includes('"partitions":12')),
      );
      await sleep(3_000);
      frozen.kill('SIGCONT');
      await sleep(4_000);
      await stopWriting();
      await pipeline.settle([url, await other.ready()], 90_000);
      expect(await pipeline.problems({ changesHands: true }), frozen.stderr).toEqual([]);
      const most = arrivals.peak();
      process.stderr.write(`instances: frozen: at most ${most} updates in a second\n`);
      expect(most).toBeLessThanOrEqual(UPDATES_PER_SECOND);
      expect(most, 'there was enough to send').toBeGreaterThan(UPDATES_PER_SECOND * 0.7);
    },
    240_000,
  );
});
