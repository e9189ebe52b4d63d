import { randomUUID } from 'node:crypto';
import type { Admin, Kafka } from 'kafkajs';
import type { PartitionBounds, ReceivedMessage } from '../port.ts';
import { receivedMessages } from './received.ts';

/** A partition whose end does not come: what is left are offsets without messages (markers). */
const NOTHING_LEFT_MS = 10_000;
const BUFFERED_BATCHES_MAX = 8;

/**
 * Reads ranges once through a group of its own, which is deleted afterwards (kafkajs can not read
 * without one).
 */
export async function* readRanges(
  kafka: Kafka,
  admin: Admin,
  wanted: readonly PartitionBounds[],
  signal: AbortSignal,
): AsyncGenerator<ReceivedMessage[]> {
  const ranges = wanted.filter(({ begin, end }) => begin < end);
  if (ranges.length === 0) return;
  const left = new Map(ranges.map((range) => [`${range.topic}/${range.partition}`, range]));
  const groupId = `iterable-sync-read-${randomUUID()}`;
  const consumer = kafka.consumer({ groupId, allowAutoTopicCreation: false, maxWaitTimeInMs: 250 });
  const batches: ReceivedMessage[][] = [];
  let wake: () => void = () => undefined;
  let failure: Error | null = null;
  let heardAtMs = performance.now();
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) failure = payload.error;
    wake();
  });
  try {
    await consumer.connect();
    await consumer.subscribe({
      topics: [...new Set(ranges.map(({ topic }) => topic))],
      fromBeginning: true,
    });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async (payload) => {
        const { batch } = payload;
        const key = `${batch.topic}/${batch.partition}`;
        const range = left.get(key);
        if (range === undefined) {
          consumer.pause([{ topic: batch.topic, partitions: [batch.partition] }]);
          return;
        }
        if (payload.isStale()) return;
        const messages = receivedMessages(payload).filter(
          ({ offset }) => offset >= range.begin && offset < range.end,
        );
        if (messages.length > 0) batches.push(messages);
        if (Number(batch.lastOffset()) + 1 >= range.end) left.delete(key);
        heardAtMs = performance.now();
        wake();
        payload.resolveOffset(batch.lastOffset());
        while (batches.length > BUFFERED_BATCHES_MAX && payload.isRunning()) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          await payload.heartbeat();
          heardAtMs = performance.now();
        }
      },
    });
    for (const { topic, partition, begin } of ranges) {
      consumer.seek({ topic, partition, offset: String(begin) });
    }
    while (!signal.aborted) {
      const batch = batches.shift();
      if (batch !== undefined) {
        yield batch;
        continue;
      }
      if (failure !== null) throw failure as Error;
      if (left.size === 0 || performance.now() - heardAtMs > NOTHING_LEFT_MS) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 250);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  } finally {
    batches.length = 0;
    await consumer.disconnect().catch(() => undefined);
    await admin.deleteGroups([groupId]).catch(() => undefined);
  }
}
