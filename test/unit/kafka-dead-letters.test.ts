import type { Kafka, Message } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { KafkaDeadLetters } from '../../src/topics/kafka/dead-letters.ts';

/** What brokers take in a batch unless told otherwise (message.max.bytes). */
const BATCH_BYTES_MAX = 1_048_588;

describe('dead letters in Kafka', () => {
  // Guards the slices in #send: one batch over the limit would be refused for ever.
  it('go in batches that brokers take, however many there are', async () => {
    const sends: number[] = [];
    let letters = 0;
    const producer = {
      connect: () => Promise.resolve(),
      send: ({ messages }: { messages: Message[] }) => {
        letters += messages.length;
        sends.push(messages.reduce((sum, { value }) => sum + String(value).length + 100, 0));
        return Promise.resolve([]);
      },
    };
    const store = new KafkaDeadLetters(
      { producer: () => producer } as unknown as Kafka,
      'dead',
      () => {
        throw new Error('not read here');
      },
    );
    const time = new Date(0).toISOString();
    await store.add(
      Array.from({ length: 20_000 }, (_, i) => ({
        id: `page_views-0-${i}`,
        userId: null,
        pageViewId: null,
        reason: `the message can not be read: ${'x'.repeat(300)}`,
        status: null,
        code: null,
        time,
      })),
    );
    expect(letters).toBe(20_000);
    expect(Math.max(...sends)).toBeLessThan(BATCH_BYTES_MAX);
  });
});
