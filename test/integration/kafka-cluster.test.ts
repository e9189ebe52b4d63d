import { setTimeout as sleep } from 'node:timers/promises';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Topics } from '../../src/topics/port.ts';
import type { KafkaCluster } from '../../tools/services/services.ts';
import { until } from '../support/program.ts';
import { judged, publishing } from '../support/numbered.ts';
import { startOwnKafkaCluster } from '../support/services.ts';
import { message, open, settingsFor } from '../support/topics.ts';
import { withSlack } from '../support/slack.ts';

const ROWS_A_SEND = 1_000;
const ACKNOWLEDGED_MIN = 300_000;
const RECOVERY_MS_MAX = 60_000;

let cluster: KafkaCluster;
let admin: Admin;

beforeAll(async () => {
  cluster = await startOwnKafkaCluster();
  const retry = { retries: 20, maxRetryTime: 1_000 };
  const kafka = new Kafka({ brokers: [...cluster.brokers], logLevel: logLevel.NOTHING, retry });
  admin = kafka.admin();
  await admin.connect();
}, 180_000);

afterAll(async () => {
  await admin?.disconnect();
  await cluster?.[Symbol.asyncDispose]();
}, 60_000);

const openHere = (): Promise<Topics> =>
  open({
    ...settingsFor('Kafka'),
    kafka: { brokers: cluster.brokers, clientId: 'test', ssl: false, sasl: null },
  });

const leadersOf = async (topic: string): Promise<number[]> => {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  return topics[0]!.partitions.map(({ leader }) => leader);
};

/** Once every partition has an elected leader, and all replicas are in sync. */
const healthy = (topic: string): Promise<void> =>
  until(
    'all replicas are in sync',
    async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      return topics[0]!.partitions.every(({ isr, leader }) => isr.length === 3 && leader > 0);
    },
    RECOVERY_MS_MAX,
  );

describe('on a cluster of three brokers that are restarted one after the other', () => {
  /** Both tests look at the same restarts; the reader at those of the first round. */
  const reader = Promise.withResolvers<string>();
  reader.promise.catch(() => undefined);
  const firstRound = Promise.withResolvers<void>();

  it.concurrent(
    'every one of 300,000 messages acknowledged is in the topic, in order',
    async () => {
      await using topics = await openHere();
      const { pageViews } = topics.names;
      const writer = publishing(topics, ROWS_A_SEND, 0);
      const until300k = () => Promise.resolve(writer.state.acknowledged > ACKNOWLEDGED_MIN);
      try {
        await until('it is under way', () => Promise.resolve(writer.state.acknowledged > 5_000));
        const read = await reader.promise;
        for (let round = 0; round < 2; round++) {
          for (const node of cluster.nodes) {
            await node.stop();
            await sleep(500);
            await node.start();
            await Promise.all([healthy(pageViews), healthy(read)]);
          }
          firstRound.resolve();
          // So that each round finds leaders on all three.
          const before = writer.state.acknowledged;
          await until('it goes on', () =>
            Promise.resolve(writer.state.acknowledged > before + 5 * ROWS_A_SEND),
          );
        }
        await until('there are enough', until300k, 240_000);
      } finally {
        firstRound.resolve();
      }
      const acknowledged = await writer.stop();
      const { missing, missingCount, disordered } = await judged(topics, acknowledged);
      expect({ missing, missingCount, disordered }).toEqual({
        missing: [],
        missingCount: 0,
        disordered: 0,
      });
    },
    480_000,
  );

  it.concurrent(
    'a topic is read to its end meanwhile',
    async () => {
      const opening = openHere();
      opening.catch(reader.reject);
      await using topics = await opening;
      const { pageViews } = topics.names;
      const count = 60_000;
      const fill = async (): Promise<string> => {
        await using publisher = await topics.publisher();
        for (let from = 0; from < count; from += 2_000) {
          await publisher.publish(
            Array.from({ length: 2_000 }, (_, i) => message(pageViews, from + i, `${from + i}`)),
          );
        }
        return pageViews;
      };
      const filling = fill();
      filling.then(reader.resolve, reader.reject);
      await filling;
      let reads = 0;
      do {
        expect(await judged(topics, count)).toMatchObject({ missing: [], repeats: 0 });
        reads += 1;
      } while (await Promise.race([firstRound.promise.then(() => false), sleep(100, true)]));
      expect(reads).toBeGreaterThan(1);
    },
    240_000,
  );
});

describe('on a cluster of three brokers', () => {
  it('a broker that is killed, and one that is frozen, costs nothing and holds nothing up for long', async () => {
    await using topics = await openHere();
    const { pageViews } = topics.names;
    const writer = publishing(topics, 50, 5);
    for (const fail of ['kill', 'freeze'] as const) {
      const [leader] = await leadersOf(pageViews);
      const node = cluster.nodes.find(({ nodeId }) => nodeId === leader)!;
      if (fail === 'kill') await node.kill();
      else node.freeze();
      const before = writer.state.acknowledged;
      await until(
        'it goes on without that broker',
        () => Promise.resolve(writer.state.acknowledged > before + 500),
        RECOVERY_MS_MAX,
      );
      if (fail === 'kill') await node.start();
      else node.thaw();
      await healthy(pageViews);
    }
    const acknowledged = await writer.stop();
    expect(await judged(topics, acknowledged)).toMatchObject({ missing: [], disordered: 0 });
  }, 240_000);

  it('a publish ends at once when it is told to while its broker is frozen', async () => {
    await using topics = await openHere();
    await using publisher = await topics.publisher();
    const one = () => [message(topics.names.pageViews, 1, 'x')];
    await publisher.publish(one());
    for (const node of cluster.nodes) node.freeze();
    const stop = new AbortController();
    const publish = publisher.publish(one(), undefined, stop.signal);
    setTimeout(() => stop.abort(), 500);
    const beganMs = performance.now();
    await expect(publish).rejects.toThrow(/aborted/);
    expect(performance.now() - beganMs).toBeLessThan(withSlack(5_000));
    for (const node of cluster.nodes) node.thaw();
    await healthy(topics.names.pageViews);
    await publisher.publish(one());
  }, 120_000);

  it('leaders that are moved and partitions that are added cost nothing', async () => {
    await using topics = await openHere();
    const { pageViews } = topics.names;
    const writer = publishing(topics, 50, 2);
    for (let round = 0; round < 3; round++) {
      await admin.alterPartitionReassignments({
        topics: [
          {
            topic: pageViews,
            partitionAssignment: Array.from({ length: 6 }, (_, partition) => ({
              partition,
              replicas: [0, 1, 2].map((i) => ((i + partition + round) % 3) + 1),
            })),
          },
        ],
      });
      await sleep(1_000);
      // The preferred leader moves where the old one goes away.
      const node = cluster.nodes[round]!;
      await node.stop();
      await node.start();
      await healthy(pageViews);
    }
    await admin.createPartitions({ topicPartitions: [{ topic: pageViews, count: 9 }] });
    await healthy(pageViews);
    await until(
      'the new partitions are used',
      async () =>
        (await topics.bounds([pageViews])).some(({ partition, end }) => partition > 5 && end > 0),
      RECOVERY_MS_MAX,
    );
    const acknowledged = await writer.stop();
    expect(await judged(topics, acknowledged)).toMatchObject({ missing: [], missingCount: 0 });
  }, 240_000);

  it('a topic that is deleted and made again takes messages again', async () => {
    await using topics = await openHere();
    const { pageViews } = topics.names;
    const writer = publishing(topics, 50, 5);
    await until('it is under way', () => Promise.resolve(writer.state.acknowledged > 500));
    await admin.deleteTopics({ topics: [pageViews] });
    await until('it is gone', async () => !(await admin.listTopics()).includes(pageViews));
    const anew = { topics: [{ topic: pageViews, numPartitions: 4 }], waitForLeaders: false };
    await admin.createTopics(anew);
    const before = writer.state.acknowledged;
    // Not every broker knows it at once.
    await healthy(pageViews);
    await until(
      'it goes on',
      () => Promise.resolve(writer.state.acknowledged > before + 500),
      RECOVERY_MS_MAX,
    );
    const acknowledged = await writer.stop();
    // What had been written before went with the old topic.
    const { missing } = await judged(topics, acknowledged);
    expect(Math.max(-1, ...missing)).toBeLessThan(before + 100);
  }, 120_000);
});
