import { setTimeout as sleep } from 'node:timers/promises';

/** A topic that was just made is known to all brokers soon; a partition without a leader gets one. */
const WAIT_MS_MAX = 15_000;
const RETRY_MS = 100;
const PASSING: ReadonlySet<string> = new Set([
  'NOT_LEADER_FOR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
]);

/**
 * Does the work again while brokers don't know a topic's leaders: kafkajs gives up at the first
 * answer that says so (cluster/brokerPool.js, refreshMetadata).
 * @throws what the work throws, after 15 s at the latest.
 */
export async function whenLed<T>(work: () => Promise<T>): Promise<T> {
  const end = performance.now() + WAIT_MS_MAX;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const isPassing = PASSING.has((error as { type?: string }).type ?? '');
      if (!isPassing || performance.now() > end) throw error;
      await sleep(RETRY_MS);
    }
  }
}
