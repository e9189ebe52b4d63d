import { describe, expect, it } from 'vitest';
import { freePorts } from '../../tools/services/folders.ts';
import { EXTENT } from '../support/extent.ts';
import { Pipeline, SEED } from '../support/pipeline.ts';
import { until } from '../support/program.ts';
import { Proxy } from '../support/proxy.ts';
import { injectServices, startOwnKafka } from '../support/services.ts';
import { randomFrom } from '../support/workload.ts';
import { withSlack } from '../support/slack.ts';

/** The promise is 30 s; a wait of the program's own comes on top of what finds the link. */
const FOUND_MS_MAX = 30_000;

interface Setting extends AsyncDisposable {
  pipeline: Pipeline;
  proxy: Proxy;
  env: Record<string, string>;
}

const RECOVERY_MS_MAX = 15_000;
/** A link that is cut while its member joins leaves a member behind, until its session is over. */
const PHANTOM_MS_MAX = 10_000;

/** A pipeline whose link to one of the three goes through a proxy. */
async function behindProxy(to: 'MySQL' | 'MariaDB' | 'Kafka' | 'Iterable'): Promise<Setting> {
  const services = injectServices();
  const stack = new AsyncDisposableStack();
  const server = to === 'MariaDB' ? services.mariadb : services.mysql;
  let target = { host: server.host, port: server.port };
  const proxy = stack.use(await Proxy.open(() => target));
  if (to === 'Kafka') {
    const [port = 0] = await freePorts(1);
    target = { host: '127.0.0.1', port };
    const advertised = `PLAINTEXT://127.0.0.1:${proxy.port}`;
    stack.use(await startOwnKafka({ 'advertised.listeners': advertised }, port));
  }
  const pipeline = stack.use(
    await Pipeline.open({
      database: server,
      topics: to === 'Kafka' ? 'Kafka' : 'embedded',
      brokers: [`127.0.0.1:${proxy.port}`],
    }),
  );
  if (to === 'Iterable') target = { host: '127.0.0.1', port: pipeline.simulator.port };
  const env: Record<string, string> =
    to === 'Iterable'
      ? { ITERABLE_API_BASE_URL: `http://127.0.0.1:${proxy.port}` }
      : to === 'Kafka'
        ? {}
        : { DB_HOST: '127.0.0.1', DB_PORT: String(proxy.port) };
  return { pipeline, proxy, env, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe.concurrent(`a link that breaks (seed ${SEED})`, () => {
  it.each(['MySQL', 'MariaDB', 'Kafka', 'Iterable'] as const)(
    'to %s, cut at random bytes again and again, costs no row',
    async (to) => {
      const random = randomFrom(SEED);
      await using setting = await behindProxy(to);
      const { pipeline, proxy, env } = setting;
      await using program = pipeline.start('run', env);
      const url = await program.ready();
      const stopWriting = pipeline.write();
      // Long enough to get through the hand-shake more often than not.
      proxy.cutAfter(() => Math.floor(random() ** 2 * (to === 'Kafka' ? 30_000 : 100_000)));
      proxy.cutAll();
      await until(
        'enough links were cut',
        () => Promise.resolve(proxy.broken > EXTENT.cuts),
        120_000,
      );
      await stopWriting();
      proxy.cutAfter(null);
      const recoveryMs = await pipeline.converge();
      await pipeline.settle([url]);
      expect(await pipeline.problems(), program.stderr.slice(-3_000)).toEqual([]);
      process.stderr.write(
        `links: ${to}: ${proxy.broken} cuts, all there ${Math.round(recoveryMs)} ms after\n`,
      );
      expect(recoveryMs).toBeLessThan(
        withSlack(RECOVERY_MS_MAX + (to === 'Kafka' ? PHANTOM_MS_MAX : 0)),
      );
    },
    240_000,
  );

  it.each(['MySQL', 'MariaDB', 'Kafka', 'Iterable'] as const)(
    'to %s, half-open and silent, is found within 30 s',
    async (to) => {
      await using setting = await behindProxy(to);
      const { pipeline, proxy, env } = setting;
      await using program = pipeline.start('run', env);
      const url = await program.ready();
      await pipeline.workload.steps(50);
      await pipeline.settle([url]);
      proxy.silence();
      await pipeline.workload.steps(50);
      const foundMs = await pipeline.converge(withSlack(FOUND_MS_MAX));
      expect(await pipeline.problems(), program.stderr.slice(-3_000)).toEqual([]);
      process.stderr.write(`links: ${to} half-open: all there after ${Math.round(foundMs)} ms\n`);
      expect(foundMs).toBeLessThan(withSlack(FOUND_MS_MAX));
    },
    120_000,
  );
});
