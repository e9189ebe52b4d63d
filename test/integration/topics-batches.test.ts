import { describe, expect, it } from 'vitest';
import type { KafkaCompression } from '../../src/settings/types.ts';
import { injectServices } from '../support/services.ts';
import { readWithJava } from '../support/java-consumer.ts';
import { open, readAll, settingsFor } from '../support/topics.ts';

const T = 1_700_000_000_000;
const MESSAGES = 3_000;

/** One line each, as the console consumer prints them. */
function sample(topic: string) {
  return Array.from({ length: MESSAGES }, (_, i) => ({
    topic,
    key: `${i % 41}`,
    value: JSON.stringify({ id: i, text: 'é😀'.repeat(i % 50) }),
    // Not in order: a batch begins with a time that is not its lowest.
    timestampMs: T + ((i * 7_919) % 100_000),
    headers: { schema: 'test/1', position: `${i}:4` },
  }));
}

describe('what capture writes to Kafka', () => {
  it.each(['none', 'gzip', 'zstd'] as const)(
    'with KAFKA_COMPRESSION=%s is read whole by a consumer in Java, and by ours',
    async (compression: KafkaCompression) => {
      const { kafkaBrokers } = injectServices();
      const settings = settingsFor('Kafka');
      const kafka = { ...settings.kafka!, compression };
      await using topics = await open({ ...settings, kafka });
      await using publisher = await topics.publisher();
      const { pageViews } = topics.names;
      const sent = sample(pageViews);
      for (let at = 0; at < MESSAGES; at += 1_000) {
        await publisher.publish(sent.slice(at, at + 1_000));
      }
      const lines = await readWithJava(kafkaBrokers, pageViews, MESSAGES);
      const expected = sent.map(
        ({ key, value, timestampMs, headers }) =>
          `CreateTime:${timestampMs}\tschema:${headers.schema},position:${headers.position}\t${key}\t${value}`,
      );
      expect(lines.toSorted()).toEqual(expected.toSorted());
      if (compression === 'zstd') return; // Ours reads zstd with the codecs of the readers.
      const ours = await readAll(topics, await topics.bounds([pageViews]));
      expect(new Set(ours.map(({ value }) => value))).toEqual(
        new Set(sent.map(({ value }) => value)),
      );
      expect(ours).toHaveLength(MESSAGES);
    },
    120_000,
  );
});
