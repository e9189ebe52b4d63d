import { Kafka, logLevel } from 'kafkajs';
import { createConnection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeTopics } from '../support/kafka-admin.ts';
import { dockerEngine, startKafka, startMysql } from '../../tools/services/services.ts';

// The way of machines with Docker, also on a machine that has none yet and can pull no image.

const say = (line: string): void => void process.stderr.write(`services: ${line}\n`);
let engine: AsyncDisposable;

beforeAll(async () => {
  engine = await dockerEngine(say);
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

test('MySQL in a container has the binlog that capture wants, and keeps rows over a kill', async () => {
  await using server = await startMysql({ say, way: 'docker' });
  const { host, port, user, password } = server;
  const login = { host, port, user, password };
  const connection = await createConnection(login);
  await connection.query('CREATE DATABASE kept');
  await connection.query('CREATE TABLE kept.t (id INT PRIMARY KEY)');
  await connection.query('INSERT INTO kept.t VALUES (7)');
  connection.destroy();
  await server.kill();
  await server.restart();
  const again = await createConnection(login);
  const [rows] = await again.query<RowDataPacket[]>(
    `SELECT id, @@binlog_format AS format, @@binlog_row_metadata AS metadata, @@gtid_mode AS gtid
     FROM kept.t`,
  );
  again.destroy();
  expect(rows).toEqual([{ id: 7, format: 'ROW', metadata: 'FULL', gtid: 'ON' }]);
});

test('Kafka in a container takes a message and gives it back', async () => {
  await using server = await startKafka({ say, way: 'docker' });
  const kafka = new Kafka({ brokers: [...server.brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await makeTopics(admin, [{ topic: 'views', numPartitions: 1 }]);
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: 'views', messages: [{ key: '7', value: 'pricing' }] });
  const consumer = kafka.consumer({ groupId: 'readers' });
  await consumer.connect();
  await consumer.subscribe({ topic: 'views', fromBeginning: true });
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  await consumer.run({
    eachMessage: async ({ message }) => resolve(message.value?.toString()),
  });
  expect(await promise).toBe('pricing');
  await Promise.all([consumer.disconnect(), producer.disconnect(), admin.disconnect()]);
});
