import { Kafka, logLevel } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import type { KafkaCompression } from '../../src/settings/types.ts';
import { makeTopics } from '../support/kafka-admin.ts';
import { injectServices } from '../support/services.ts';
import { open, readAll, settingsFor } from '../support/topics.ts';

const T = 1_700_000_000_000;
const MESSAGES = 3_000;

const sample = (topic: string) =>
  Array.from({ length: MESSAGES }, (_, i) => ({
    topic,
    key: `${i % 41}`,
    value: JSON.stringify({ id: i, text: 'é😀'.repeat(i % 50) }),
    // Not in order: a batch begins with a time that is not its lowest.
    timestampMs: T + ((i * 7_919) % 100_000),
    headers: { schema: 'test/1', position: `${i}:4` },
  }));

async function createTopic(topic: string, compressionType: string): Promise<void> {
  const brokers = [...injectServices().kafkaBrokers];
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const configEntries = [{ name: 'compression.type', value: compressionType }];
  const topics = [{ topic, numPartitions: 6, configEntries }];
  try {
    await makeTopics(admin, topics);
  } finally {
    await admin.disconnect();
  }
}

describe('what capture writes to Kafka', () => {
  // A topic that wants another compression than it gets: the broker checks every sum and length,
  // unpacks every record with Kafka's own Java classes, and packs them anew. That is what is read.
  it.each([
    ['none', 'gzip'],
    ['gzip', 'uncompressed'],
    ['zstd', 'gzip'],
    ['zstd', 'uncompressed'],
  ] as const)(
    'with KAFKA_COMPRESSION=%s is understood whole by Kafka itself, which makes %s of it',
    async (compression: KafkaCompression, stored) => {
      const settings = settingsFor('Kafka');
      await createTopic(settings.topic, stored);
      const kafka = { ...settings.kafka!, compression };
      await using topics = await open({ ...settings, kafka });
      await using publisher = await topics.publisher();
      const { pageViews } = topics.names;
      const sent = sample(pageViews);
      for (let at = 0; at < MESSAGES; at += 1_000) {
        await publisher.publish(sent.slice(at, at + 1_000));
      }
      const read = await readAll(topics, await topics.bounds([pageViews]));
      const byNumber = new Map(
        read.map(({ topic, key, value, timestampMs, headers }) => [
          value,
          { topic, key, value, timestampMs, headers },
        ]),
      );
      expect(read).toHaveLength(MESSAGES);
      expect(sent.map(({ value }) => byNumber.get(value))).toEqual(sent);
    },
  );
});
