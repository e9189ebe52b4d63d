import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { createConnection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { isAtLeast } from '../../tools/services/database-flags.ts';
import type { DatabaseAddress } from '../../tools/services/services.ts';
import { notOutlivingUs } from '../../tools/services/server-process.ts';
import { flavourOf } from '../../tools/services/types.ts';
import { makeTopics } from '../support/kafka-admin.ts';
import { until } from '../support/program.ts';
import {
  DATABASES,
  freshDatabase,
  freshTopicPrefix,
  injectServices,
  startOwn,
  startOwnKafka,
  startOwnKafkaCluster,
  startOwnMysql,
} from '../support/services.ts';

async function ask(server: DatabaseAddress, sql: string): Promise<RowDataPacket> {
  const { host, port, user, password } = server;
  const connection = await createConnection({ host, port, user, password });
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    return rows[0]!;
  } finally {
    connection.destroy();
  }
}

test('the MariaDBs are two, of which one is 11.8 or later', () => {
  const { mariadb, mariadb11 } = injectServices();
  expect(mariadb.port).not.toBe(mariadb11.port);
  expect(isAtLeast(mariadb11.version, '11.8')).toBe(true);
});

test.each(DATABASES)('%s writes whole rows to a durable binlog', async (kind) => {
  const server = injectServices()[kind];
  expect(server.flavour).toBe(flavourOf(kind));
  const row = await ask(
    server,
    `SELECT @@log_bin AS log, @@binlog_format AS format, @@binlog_row_image AS image,
            @@binlog_row_metadata AS metadata, @@innodb_flush_log_at_trx_commit AS flush_log`,
  );
  expect(row).toEqual({ log: 1, format: 'ROW', image: 'FULL', metadata: 'FULL', flush_log: 1 });
});

test.each(DATABASES)('%s knows time zones by name', async (kind) => {
  const row = await ask(
    injectServices()[kind],
    `SELECT CAST(CONVERT_TZ('2026-07-01 12:00:00', 'UTC', 'America/Chicago') AS CHAR) AS local`,
  );
  expect(row['local']).toBe('2026-07-01 07:00:00');
});

test('a fresh database is empty, and gone afterwards', async () => {
  const server = injectServices().mysql;
  let name: string;
  {
    await using fresh = await freshDatabase(server);
    name = fresh.settings.name;
    const [tables] = await fresh.connection.query<RowDataPacket[]>('SHOW TABLES');
    expect(tables).toEqual([]);
  }
  const row = await ask(
    server,
    `SELECT COUNT(*) AS found FROM information_schema.schemata WHERE schema_name = '${name}'`,
  );
  expect(row['found']).toBe(0);
});

test.concurrent.each(DATABASES)(
  'a %s that was killed has its committed rows when restarted',
  async (name) => {
    await using server = await startOwn(name);
    const pid = server.pid;
    await ask(server, 'CREATE DATABASE kept');
    await ask(server, 'CREATE TABLE kept.t (id INT PRIMARY KEY)');
    await ask(server, 'INSERT INTO kept.t VALUES (7)');
    await server.kill();
    await expect(ask(server, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
    await server.restart();
    expect((await ask(server, 'SELECT id FROM kept.t'))['id']).toBe(7);
    expect(server.pid).not.toBe(pid);
  },
);

test.concurrent('two servers have identities of their own', async () => {
  await using one = await startOwnMysql();
  const uuid = 'SELECT @@server_uuid AS uuid';
  expect((await ask(one, uuid))['uuid']).not.toBe(
    (await ask(injectServices().mysql, uuid))['uuid'],
  );
});

test.concurrent('flags win over the defaults, and GTIDs can be left out', async () => {
  await using server = await startOwnMysql(['--binlog-row-image=MINIMAL'], false);
  const row = await ask(server, 'SELECT @@binlog_row_image AS image, @@gtid_mode AS gtid');
  expect(row).toEqual({ image: 'MINIMAL', gtid: 'OFF' });
});

/** A process of Node, to be killed; it ends with ours at the latest. */
function startOwner(args: readonly string[]) {
  const [command, ...rest] = notOutlivingUs([process.execPath, ...args], 'KILL');
  return spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
}

test.concurrent(
  'a server does not outlive the process that started it, however that one ends',
  async ({ expect }) => {
    const cli = new URL('../../tools/services/cli.ts', import.meta.url).pathname;
    const owner = startOwner([cli, 'mariadb']);
    const [line] = (await once(owner.stdout.setEncoding('utf8'), 'data')) as [string];
    const [, host, port, user, password] =
      /^export DB_HOST=(\S+) DB_PORT=(\d+) DB_USER=(\S+) DB_PASSWORD=(\S+)\n$/.exec(line) ?? [];
    const login = { host: host!, port: Number(port), user: user!, password: password! };
    const server = { ...login, flavour: 'mariadb', version: '' } as const;
    expect((await ask(server, 'SELECT 1 AS one'))['one']).toBe(1);
    owner.kill('SIGKILL');
    await expect
      .poll(() => ask(server, 'SELECT 1').then(String, (error: Error) => error.message), {
        timeout: 10_000,
      })
      .toMatch(/ECONNREFUSED/);
  },
);

// Guards notOutlivingUs in Program: a test that runs out of time disposes of nothing.
test.concurrent(
  'a program under test does not outlive the process that started it',
  async ({ expect }) => {
    const harness = new URL('../support/program.ts', import.meta.url).href;
    const script = `
    const { Program } = await import('${harness}');
    const program = new Program(['simulator', '--port', '0'], {});
    const address = /http:\\/\\/[\\d.:]+/;
    for (; !address.test(program.stdout + program.stderr);) await new Promise((r) => setTimeout(r, 20));
    console.log(address.exec(program.stdout + program.stderr)[0]);`;
    const owner = startOwner(['--input-type=module', '--eval', script]);
    const [url] = (await once(owner.stdout.setEncoding('utf8'), 'data')) as [string];
    expect((await fetch(`${url.trim()}/simulator/stats`)).status).toBe(200);
    owner.kill('SIGKILL');
    await expect
      .poll(() => fetch(url.trim()).then(String, (error: Error) => String(error.cause)), {
        timeout: 10_000,
      })
      .toMatch(/ECONNREFUSED/);
  },
);

test.concurrent('a server that does not start says why', async () => {
  await expect(startOwnMysql(['--no-such-option=1'])).rejects.toThrow(/no-such-option/);
});

const clientOf = (brokers: readonly string[]) =>
  new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });

test('Kafka makes no topic by itself', async () => {
  const producer = clientOf(injectServices().kafkaBrokers).producer({ retry: { retries: 1 } });
  await producer.connect();
  const sending = producer.send({ topic: freshTopicPrefix(), messages: [{ value: 'x' }] });
  await expect(sending).rejects.toThrow(/topic-partition/);
  await producer.disconnect();
});

test('a Kafka that was killed has its acknowledged messages when restarted', async () => {
  await using server = await startOwnKafka();
  const kafka = clientOf(server.brokers);
  const topic = freshTopicPrefix();
  const admin = kafka.admin();
  await admin.connect();
  await makeTopics(admin, [{ topic, numPartitions: 1 }]);
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, acks: -1, messages: [{ value: 'a' }, { value: 'b' }] });
  await producer.disconnect();
  await admin.disconnect();
  await server.kill();
  await server.restart();
  const again = kafka.admin();
  await again.connect();
  const [offsets] = await again.fetchTopicOffsets(topic);
  expect(offsets?.high).toBe('2');
  await again.disconnect();
});

test('a cluster of three keeps what was acknowledged, and leaves nothing behind, whatever state its brokers are in', async () => {
  await using cluster = await startOwnKafkaCluster();
  const [one, two, three] = cluster.nodes;
  const kafka = clientOf(cluster.brokers);
  const topic = freshTopicPrefix();
  const admin = kafka.admin();
  await admin.connect();
  await makeTopics(admin, [{ topic, numPartitions: 3 }]);
  // Not every broker has heard of it yet, and each question may go to another one.
  await until('each partition has three replicas', async () => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const counts = topics[0]?.partitions.map(({ replicas }) => replicas.length);
    return isDeepStrictEqual(counts, [3, 3, 3]);
  });
  const producer = kafka.producer();
  await producer.connect();
  const send = (value: string) => producer.send({ topic, acks: -1, messages: [{ value }] });
  await one!.kill();
  await send('one is down');
  await one!.start();
  two!.freeze();
  await sleep(1_000);
  two!.thaw();
  await three!.stop();
  expect(three!.pid).toBeNull();
  await send('three is down');
  await three!.start();
  await until('both messages are there', async () => {
    const offsets = await admin.fetchTopicOffsets(topic);
    return offsets.reduce((sum, { high }) => sum + Number(high), 0) === 2;
  });
  await producer.disconnect();
  await admin.disconnect();

  one!.freeze();
  await two!.kill();
  const starting = two!.start();
  const pids = [one!.pid!, two!.pid!, three!.pid!];
  const [start] = await Promise.allSettled([starting, cluster[Symbol.asyncDispose]()]);
  expect(String(start.status === 'rejected' && start.reason)).toMatch(/ended while starting/);
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  expect(existsSync(three!.dir)).toBe(false);
  await expect(three!.start()).rejects.toThrow(/it was ended/);
}, 180_000);
