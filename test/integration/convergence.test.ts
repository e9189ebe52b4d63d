import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { differences } from '../support/expected.ts';
import { SEED } from '../support/extent.ts';
import { Program, environment, until } from '../support/program.ts';
import { DATABASES, freshDatabase, freshTopicPrefix, injectServices } from '../support/services.ts';
import { Workload } from '../support/workload.ts';

interface Status {
  deliver: {
    lag_messages: Record<string, number>;
    in_flight: { messages: number; deliveries: number };
  };
}

async function isCaughtUp(url: string): Promise<boolean> {
  const status = (await (await fetch(`${url}/status`)).json()) as Status;
  const { lag_messages: lag, in_flight: inFlight } = status.deliver;
  return (
    Object.values(lag).every((messages) => messages === 0) &&
    inFlight.messages === 0 &&
    inFlight.deliveries === 0
  );
}

describe.each(DATABASES)('the stream, from %s', (flavour) => {
  it.concurrent.each(['embedded', 'Kafka'] as const)(
    `ends with exactly what the rule says in Iterable, through %s topics (seed ${SEED})`,
    async (topics) => {
      const services = injectServices();
      await using database = await freshDatabase(services[flavour]);
      const { connection, settings } = database;
      const workload = new Workload(connection, SEED, 30);
      await workload.setUp();
      await workload.steps(40);
      await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
      const env = environment(settings, simulator.url, {
        KAFKA_BROKERS: topics === 'Kafka' ? services.kafkaBrokers.join(',') : '',
        KAFKA_TOPIC: freshTopicPrefix(),
        KAFKA_GROUP_ID: freshTopicPrefix(),
      });
      await using program = new Program(['run'], env);
      const url = await program.ready();
      await workload.steps(400);
      let problems: string[] = [];
      await until('the stream has caught up', async () => {
        if (!(await isCaughtUp(url))) return false;
        problems = await differences(connection, simulator);
        return problems.length === 0;
      }).catch(async (error: unknown) => {
        const status = await (await fetch(`${url}/status`)).text();
        problems = [String(error), status, ...(await differences(connection, simulator))];
      });
      expect(problems, program.stderr).toEqual([]);
      const { order, endpoints } = simulator.stats();
      expect(order).toEqual({ trackDuringUpdate: 0, overlappingSameUser: 0 });
      expect(endpoints['users/update'].peakPerSecond).toBeLessThanOrEqual(500);
      expect(endpoints['events/track'].peakPerSecond).toBeLessThanOrEqual(2000);
      program.kill('SIGTERM');
      expect((await program.ended).code).toBe(0);
    },
    120_000,
  );
});
