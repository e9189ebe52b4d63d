import { Kafka, logLevel } from 'kafkajs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { EXTENT } from '../support/extent.ts';
import { Pipeline, SEED } from '../support/pipeline.ts';
import {
  injectServices,
  startOwnKafka,
  startOwnMariadb,
  startOwnMysql,
} from '../support/services.ts';
import { randomFrom } from '../support/workload.ts';
import { withSlack } from '../support/slack.ts';

const RECOVERY_MS_MAX = 15_000;

const say = (line: string): void => void process.stderr.write(`outages: ${line}\n`);

describe(`an outage of a database (seed ${SEED})`, () => {
  // Guards runCapture's loop, the checkpoint's file:position and GTID sets, and openDatabase's pool.
  it.concurrent.each(['MySQL', 'MySQL without GTIDs', 'MariaDB'] as const)(
    'of %s, killed and restarted with rotated logs, costs no row',
    async (which) => {
      await using server =
        which === 'MariaDB' ? await startOwnMariadb() : await startOwnMysql([], which === 'MySQL');
      await using pipeline = await Pipeline.open({ database: server, topics: 'embedded' });
      await using program = pipeline.start();
      const url = await program.ready();
      const random = randomFrom(SEED);
      const stopWriting = pipeline.write();
      for (let round = 0; round < 4; round++) {
        await sleep(300 + random() * 1_000);
        const { connection } = pipeline;
        await connection.query('FLUSH BINARY LOGS').catch(() => undefined);
        if (round % 2 === 0) await server.kill();
        await server.restart();
      }
      await sleep(1_000);
      await stopWriting();
      const recoveryMs = await pipeline.converge();
      await pipeline.settle([url]);
      say(`${which}: all there ${Math.round(recoveryMs)} ms after the last write`);
      expect(await pipeline.problems(), program.stderr.slice(-3_000)).toEqual([]);
      expect(recoveryMs).toBeLessThan(withSlack(RECOVERY_MS_MAX));
    },
    240_000,
  );
});

describe(`an outage around Kafka (seed ${SEED})`, () => {
  // Guards KafkaPublisher.#send, which tries until it is acknowledged, and the publish queue's bound.
  it.concurrent(
    'of Kafka, killed and restarted again and again, costs no row',
    async () => {
      await using kafka = await startOwnKafka();
      await using pipeline = await Pipeline.open({
        database: injectServices().mysql,
        topics: 'Kafka',
        brokers: kafka.brokers,
      });
      await using capture = pipeline.start('capture');
      await using deliver = pipeline.start('deliver');
      const url = await deliver.ready();
      const stopWriting = pipeline.write();
      for (let round = 0; round < 3; round++) {
        await sleep(1_500);
        if (round % 2 === 0) await kafka.kill();
        await kafka.restart();
      }
      const backMs = performance.now();
      await stopWriting();
      await pipeline.converge();
      const recoveryMs = performance.now() - backMs;
      await pipeline.settle([url]);
      say(`Kafka: all there ${Math.round(recoveryMs)} ms after it was back`);
      expect(await pipeline.problems(), capture.stderr + deliver.stderr).toEqual([]);
      expect(recoveryMs).toBeLessThan(withSlack(RECOVERY_MS_MAX));
    },
    240_000,
  );

  // Guards TopicsAwayError: capture must wait for both, whichever comes back first.
  it.concurrent.each([
    ['the database', 'quiet'],
    ['Kafka', 'busy'],
  ] as const)(
    'of Kafka and the database at once, of which %s is back first, costs a %s stream no row',
    async (first, kind) => {
      await using kafka = await startOwnKafka();
      await using mysql = await startOwnMysql();
      await using pipeline = await Pipeline.open({
        database: mysql,
        topics: 'Kafka',
        brokers: kafka.brokers,
      });
      await using program = pipeline.start();
      const url = await program.ready();
      const stopWriting = pipeline.write();
      await sleep(1_500);
      // A quiet one has its place saved: it is read from Kafka when the database is back.
      if (kind === 'quiet') await stopWriting().then(() => sleep(2_000));
      await kafka.kill();
      await sleep(1_000);
      if (kind === 'busy') await stopWriting();
      await mysql.kill();
      await sleep(3_000);
      const servers = first === 'Kafka' ? [kafka, mysql] : [mysql, kafka];
      for (const server of servers) {
        await server.restart();
        await sleep(8_000);
      }
      const stopWritingAgain = pipeline.write();
      await sleep(1_000);
      await stopWritingAgain();
      await pipeline.converge();
      await pipeline.settle([url]);
      expect(program.hasEnded, program.stderr.slice(-3_000)).toBe(false);
      expect(await pipeline.problems(), program.stderr.slice(-3_000)).toEqual([]);
    },
    240_000,
  );

  // The only leader is frozen: it takes connections and answers nothing.
  it.concurrent(
    `of a partition leader that is gone for ${EXTENT.frozenMs / 1_000} s costs no row`,
    async () => {
      await using kafka = await startOwnKafka();
      await using pipeline = await Pipeline.open({
        database: injectServices().mysql,
        topics: 'Kafka',
        brokers: kafka.brokers,
      });
      await using program = pipeline.start();
      const url = await program.ready();
      const stopWriting = pipeline.write(20);
      await sleep(1_000);
      process.kill(kafka.pid!, 'SIGSTOP');
      await sleep(EXTENT.frozenMs);
      process.kill(kafka.pid!, 'SIGCONT');
      const backMs = performance.now();
      await stopWriting();
      await pipeline.converge();
      const recoveryMs = performance.now() - backMs;
      await pipeline.settle([url]);
      say(`frozen Kafka: all there ${Math.round(recoveryMs)} ms after it was back`);
      expect(await pipeline.problems(), program.stderr.slice(-3_000)).toEqual([]);
      expect(recoveryMs).toBeLessThan(withSlack(RECOVERY_MS_MAX));
    },
    240_000,
  );

  // Guards KafkaMember.#checkLost and DeliveryStream.#makeGood.
  it.concurrent(
    'of deliver for longer than Kafka keeps the messages costs no row',
    async () => {
      const { kafkaBrokers, mysql } = injectServices();
      await using pipeline = await Pipeline.open({ database: mysql, topics: 'Kafka' });
      await using capture = pipeline.start('capture');
      {
        await using deliver = pipeline.start('deliver');
        await pipeline.workload.steps(60);
        await pipeline.settle([await deliver.ready()]);
        deliver.kill('SIGTERM');
        expect((await deliver.ended).code).toBe(0);
      }
      await pipeline.workload.steps(150);
      await sleep(1_000);
      const admin = new Kafka({ brokers: [...kafkaBrokers], logLevel: logLevel.NOTHING }).admin();
      await admin.connect();
      const name = pipeline.env['KAFKA_TOPIC'] ?? '';
      for (const topic of [name, `${name}.user_changes`]) {
        const ends = await admin.fetchTopicOffsets(topic);
        const partitions = ends.map(({ partition, high }) => ({ partition, offset: high }));
        await admin.deleteTopicRecords({ topic, partitions });
      }
      await admin.disconnect();
      await using deliver = pipeline.start('deliver');
      await pipeline.settle([await deliver.ready()], 20_000);
      expect(deliver.stderr).toContain('messages were deleted before this group read them');
      expect(await pipeline.problems(), deliver.stderr).toEqual([]);
      // Once is enough: the next start finds nothing lost.
      deliver.kill('SIGTERM');
      await deliver.ended;
      await using next = pipeline.start('deliver');
      await pipeline.settle([await next.ready()]);
      expect(next.stderr).not.toContain('messages were deleted');
      capture.kill('SIGTERM');
    },
    240_000,
  );
});
