import kafkajs, { Kafka, logLevel } from 'kafkajs';
import { expect, it } from 'vitest';
import { until } from '../support/program.ts';
import { injectServices } from '../support/services.ts';
import { Reader, open, readAll, settingsFor } from '../support/topics.ts';

const client = (): Kafka =>
  new Kafka({ brokers: [...injectServices().kafkaBrokers], logLevel: logLevel.NOTHING });

// As Kafka Connect writes with exactly-once support: markers, and what was rolled back, take offsets.
it('A topic that is written in transactions is read without what was rolled back', async () => {
  const settings = { ...settingsFor('Kafka'), partitions: 1 };
  const { topic } = settings;
  await using topics = await open(settings);
  const producer = client().producer({
    transactionalId: topic,
    maxInFlightRequests: 1,
    idempotent: true,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const write = async (values: readonly string[], isKept: boolean): Promise<void> => {
    const transaction = await producer.transaction();
    const messages = values.map((value) => ({ key: '1', value }));
    await transaction.send({ topic, messages });
    await (isKept ? transaction.commit() : transaction.abort());
  };
  try {
    await write(['a', 'b'], true);
    await write(['rolled back'], false);
    await write(['c'], true);
    await write(['rolled back', 'rolled back'], false);
    const reader = await new Reader().join(topics, topic);
    try {
      const hasAll = (count: number) => () => Promise.resolve(reader.received.length >= count);
      await until('the member has what was kept', hasAll(3));
      // It stands behind what it was shown by four offsets, and goes on from there.
      await write(['d'], true);
      await until('the member has what came later', hasAll(4));
      expect(reader.values()).toEqual(['a', 'b', 'c', 'd']);
      expect(reader.lost).toEqual([]);
    } finally {
      await reader.leave();
    }
    const read = await readAll(topics, await topics.bounds([topic]));
    expect(read.map(({ value }) => value)).toEqual(['a', 'b', 'c', 'd']);
  } finally {
    await producer.disconnect();
  }
});
