import { randomUUID } from 'node:crypto';
import type { Admin, EachBatchPayload, Kafka } from 'kafkajs';
import { UnavailableError } from '../../errors.ts';
import type { PartitionBounds, ReceivedMessage } from '../port.ts';
import { whenLed } from './leaders.ts';
import { receivedMessages } from './received.ts';

/**
 * So many answers in a row of every broker without a message, and none in hand: what is left of the
 * ranges are offsets that have none (compacted, dropped, transaction markers). Answers, not time: a
 * broker that is away gives none, and what it holds must not count as read.
 */
const EMPTY_FETCHES = 20;
const FETCH_WAIT_MS = 250;
const SILENCE_MS_MAX = 60_000;
const BUFFERED_BATCHES_MAX = 8;

/**
 * Reads ranges once through a group of its own, which is deleted afterwards (kafkajs can not read
 * without one).
 * @throws UnavailableError when the brokers give no answer for a minute.
 */
export async function* readRanges(
  kafka: Kafka,
  admin: Admin,
  wanted: readonly PartitionBounds[],
  signal: AbortSignal,
  description: string,
): AsyncGenerator<ReceivedMessage[]> {
  const ranges = wanted.filter(({ begin, end }) => begin < end);
  if (ranges.length === 0) return;
  const left = new Map(ranges.map((range) => [`${range.topic}/${range.partition}`, range]));
  const groupId = `iterable-sync-read-${randomUUID()}`;
  const consumer = kafka.consumer({
    groupId,
    allowAutoTopicCreation: false,
    maxWaitTimeInMs: FETCH_WAIT_MS,
  });
  const batches: ReceivedMessage[][] = [];
  let wake: () => void = () => undefined;
  let failure: Error | null = null;
  let heardAtMs = performance.now();
  const emptyFetches = new Map<number, number>();
  /** The brokers of these are not asked meanwhile. */
  let batchesInHand = 0;
  consumer.on(consumer.events.FETCH_START, ({ payload: { nodeId } }) => {
    emptyFetches.set(nodeId, emptyFetches.get(nodeId) ?? 0);
  });
  consumer.on(consumer.events.FETCH, ({ payload: { nodeId } }) => {
    heardAtMs = performance.now();
    emptyFetches.set(nodeId, (emptyFetches.get(nodeId) ?? 0) + 1);
    wake();
  });
  const isAllEmpty = (): boolean =>
    batchesInHand === 0 &&
    emptyFetches.size > 0 &&
    [...emptyFetches.values()].every((n) => n > EMPTY_FETCHES);
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) failure = payload.error;
    wake();
  });
  const take = async (payload: EachBatchPayload): Promise<void> => {
    const { topic, partition } = payload.batch;
    const range = left.get(`${topic}/${partition}`);
    if (range === undefined) return consumer.pause([{ topic, partitions: [partition] }]);
    if (payload.isStale()) return;
    const last = Number(payload.batch.lastOffset());
    const messages = receivedMessages(payload).filter(
      ({ offset }) => offset >= range.begin && offset < range.end,
    );
    if (messages.length > 0) batches.push(messages);
    if (last + 1 >= range.end) left.delete(`${topic}/${partition}`);
    wake();
    payload.resolveOffset(String(last));
    while (batches.length > BUFFERED_BATCHES_MAX && payload.isRunning()) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await payload.heartbeat();
      heardAtMs = performance.now();
    }
  };
  try {
    await consumer.connect();
    const topics = [...new Set(ranges.map(({ topic }) => topic))];
    await whenLed(() => consumer.subscribe({ topics, fromBeginning: true }));
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async (payload) => {
        batchesInHand += 1;
        try {
          await take(payload);
        } finally {
          batchesInHand -= 1;
          emptyFetches.clear();
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
      if (left.size === 0 || isAllEmpty()) return;
      if (performance.now() - heardAtMs > SILENCE_MS_MAX) {
        throw new UnavailableError(
          `${description} gives no answer any more; check that it runs, and start again`,
        );
      }
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
