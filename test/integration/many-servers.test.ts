import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import type { DatabaseAddress } from '../../tools/services/services.ts';
import { differences } from '../support/expected.ts';
import { Program, environment, until } from '../support/program.ts';
import { Proxy } from '../support/proxy.ts';
import {
  connectTo,
  freshDatabase,
  freshTopicPrefix,
  injectServices,
  startOwnMariadb,
  startOwnMysql,
} from '../support/services.ts';
import { Workload } from '../support/workload.ts';

const LAG_S = 4;

const FOLLOW = {
  mysql: ({ host, port, user, password }: DatabaseAddress) =>
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${host}', SOURCE_PORT = ${port}, SOURCE_USER = '${user}',
       SOURCE_PASSWORD = '${password}', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1,
       SOURCE_DELAY = ${LAG_S}; START REPLICA`,
  mariadb: ({ host, port, user, password }: DatabaseAddress) =>
    `CHANGE MASTER TO MASTER_HOST = '${host}', MASTER_PORT = ${port}, MASTER_USER = '${user}',
       MASTER_PASSWORD = '${password}', MASTER_USE_GTID = slave_pos, MASTER_DELAY = ${LAG_S}; START SLAVE`,
};

/** Until the replica has what the source has by now. */
async function follows(replica: Connection, database: string): Promise<void> {
  await until('the replica has the tables', async () => {
    await replica.query(`SELECT COUNT(*) FROM ${database}.seen_views`);
    return true;
  });
}

// Guards Database.session in lookAt: what one server has executed, another need not show.
test.concurrent.each(['mysql', 'mariadb'] as const)(
  'an address with a replica behind it that lags costs nothing but its lag, on %s',
  async (flavour) => {
    const startOwn = flavour === 'mysql' ? startOwnMysql : startOwnMariadb;
    await using source = await startOwn();
    await using replica = await startOwn(['--server-id=2', '--log-slave-updates=ON']);
    await using database = await freshDatabase(source);
    const { connection, settings } = database;
    const follower = await connectTo({ ...settings, port: replica.port }, null);
    await follower.query(FOLLOW[flavour](source));
    const workload = new Workload(connection, 5, 30);
    await workload.setUp();
    await workload.steps(60);
    await follows(follower, settings.name);
    let connections = 0;
    await using either = await Proxy.open(() => {
      connections += 1;
      return connections % 2 === 0 ? source : replica;
    });
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    const topics = {
      KAFKA_BROKERS: injectServices().kafkaBrokers.join(','),
      KAFKA_TOPIC: freshTopicPrefix(),
      KAFKA_GROUP_ID: freshTopicPrefix(),
    };
    await using capture = new Program(['capture'], environment(settings, simulator.url, topics));
    await capture.ready();
    const behind = { ...settings, port: either.port };
    await using deliver = new Program(['deliver'], environment(behind, simulator.url, topics));
    await deliver.ready();
    // Many at once, so that looks run side by side on connections to both.
    for (let burst = 0; burst < 3; burst += 1) {
      await workload.steps(150);
      await connection.query('UPDATE customers SET first_name = ?', [`burst ${burst}`]);
      await sleep((LAG_S * 1000) / 2);
    }
    let problems: string[] = [];
    await until(
      'Iterable holds what the rule says',
      async () => {
        problems = await differences(connection, simulator);
        return problems.length === 0;
      },
      60_000,
    ).catch(() => undefined);
    expect(problems, deliver.stderr).toEqual([]);
    expect(either.opened).toBeGreaterThan(1);
  },
  150_000,
);
