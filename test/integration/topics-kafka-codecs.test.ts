import kafkajs, { type Admin, CompressionTypes, Kafka, logLevel } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { until } from '../support/program.ts';
import { injectServices } from '../support/services.ts';
import { Reader, message, open, readAll, settingsFor } from '../support/topics.ts';

const client = (): Kafka =>
  new Kafka({ brokers: [...injectServices().kafkaBrokers], logLevel: logLevel.NOTHING });

const VALUES = Array.from({ length: 400 }, (_, i) => `${i} ${'a view of the prices '.repeat(i)}`);

async function withAdmin(work: (admin: Admin) => Promise<unknown>): Promise<void> {
  const admin = client().admin();
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** What both ways of reading find, each in the order of the partitions. */
async function readBothWays(settings: ReturnType<typeof settingsFor>): Promise<string[][]> {
  await using topics = await open(settings);
  const { pageViews } = topics.names;
  const read = await readAll(topics, await topics.bounds([pageViews]));
  const reader = await new Reader().join(topics, settings.topic);
  try {
    await until('the member has all', () =>
      Promise.resolve(reader.received.length >= VALUES.length),
    );
  } finally {
    await reader.leave();
  }
  return [read.map(({ value }) => value ?? ''), reader.values()].map((all) => all.toSorted());
}

describe('a topic that is compressed', () => {
  // The broker compresses with the libraries of Kafka's Java clients.
  it.concurrent.each(['gzip', 'snappy', 'lz4', 'zstd'])(
    'with %s by Kafka itself is read as if it were not',
    async (codec) => {
      const settings = { ...settingsFor('Kafka'), partitions: 1 };
      await withAdmin((admin) =>
        admin.createTopics({
          waitForLeaders: false,
          topics: [
            {
              topic: settings.topic,
              numPartitions: 1,
              configEntries: [{ name: 'compression.type', value: codec }],
            },
          ],
        }),
      );
      {
        await using topics = await open(settings);
        await using publisher = await topics.publisher();
        const { pageViews } = topics.names;
        await publisher.publish(VALUES.map((value, i) => message(pageViews, i, value)));
      }
      const expected = VALUES.toSorted();
      expect(await readBothWays(settings)).toEqual([expected, expected]);
    },
  );

  // As librdkafka does: one block of snappy without xerial's frame.
  it.concurrent('with snappy in a raw block is read too', async () => {
    const settings = { ...settingsFor('Kafka'), partitions: 1 };
    await using _ = await open(settings);
    const producer = client().producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    await producer.send({
      topic: settings.topic,
      compression: CompressionTypes.Snappy,
      messages: VALUES.map((value) => ({ key: '1', value })),
    });
    await producer.disconnect();
    const expected = VALUES.toSorted();
    expect(await readBothWays(settings)).toEqual([expected, expected]);
  });
});
