import { BatchSet, asBatchSet } from '../batch/batch-set.ts';
import type { PartitionQueue } from '../batch/partition-queue.ts';
import type { OutgoingBatch, OutgoingMessage, Publisher } from '../port.ts';
import type { MemoryBroker } from './broker.ts';
import type { Connection } from './connection.ts';

const RETRY_MS = [20, 100, 250, 500, 1_000];
const CLOSE_MS_MAX = 3_000;
const LOAD_TRIES_MAX = 10;

export interface MemoryPublisherDeps {
  broker: MemoryBroker;
  connection: Connection;
  checkpointsTopic: string;
}

/**
 * Sends again what no answer came for, as Kafka's does once the producer's numbers are lost: so
 * messages may be there twice. A partition has one batch under way at most, so order holds.
 */
export class MemoryPublisher implements Publisher {
  readonly #deps: MemoryPublisherDeps;
  readonly #closing = new AbortController();
  #last: Promise<void> = Promise.resolve();

  constructor(deps: MemoryPublisherDeps) {
    this.#deps = deps;
  }

  batch(): BatchSet {
    const { broker, connection } = this.#deps;
    return new BatchSet({
      partitionsOf: (topic) => broker.logsOf(topic).length,
      nowMs: () => connection.clock.epochMs(),
    });
  }

  publish(
    messages: OutgoingBatch | readonly OutgoingMessage[],
    checkpoint?: { source: string; value: string },
    signal?: AbortSignal,
  ): Promise<void> {
    const closing = this.#closing.signal;
    const either = signal === undefined ? closing : AbortSignal.any([signal, closing]);
    const done = this.#last.then(async () => {
      const set = asBatchSet(messages, () => this.batch());
      await this.#again(async () => this.#round(set, either), either);
      if (checkpoint === undefined) return;
      await this.#again(async () => this.#saved(checkpoint, either), either);
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async loadCheckpoint(source: string): Promise<string | null> {
    const { broker, connection, checkpointsTopic } = this.#deps;
    return connection.ask(
      { kind: 'question' },
      () => broker.checkpoints.get(checkpointsTopic)?.get(source) ?? null,
      { triesMax: LOAD_TRIES_MAX, signal: this.#closing.signal },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A broker that is away must not hold up the stop.
    const limit = this.#deps.connection.clock.timer(CLOSE_MS_MAX, () => this.#closing.abort());
    await this.#last;
    limit.cancel();
    this.#closing.abort();
  }

  /** Rounds until there is nothing left. @throws the signal's reason. */
  async #again(
    round: () => Promise<{ isDone: boolean; hasProgress: boolean }>,
    signal: AbortSignal,
  ): Promise<void> {
    for (let failures = 0; ;) {
      signal.throwIfAborted();
      const { isDone, hasProgress } = await round();
      if (isDone) return;
      if (hasProgress) {
        failures = 0;
        continue;
      }
      await this.#deps.connection.sleep(
        RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 0,
        signal,
      );
      failures += 1;
    }
  }

  /** One request for the first batch of every partition. */
  async #round(
    set: BatchSet,
    signal: AbortSignal,
  ): Promise<{ isDone: boolean; hasProgress: boolean }> {
    // A key's partition can't be told before the number of partitions is.
    set.dealAgain();
    const { broker } = this.#deps;
    const known = set.queues.filter(({ topic }) => broker.logsOf(topic).length > 0);
    const written = await Promise.all(known.map((queue) => this.#sent(queue, signal)));
    return { isDone: set.queues.length === 0, hasProgress: written.includes(true) };
  }

  /** Whether the broker has answered for the queue's first batch, which leaves the queue then. */
  async #sent(queue: PartitionQueue, signal: AbortSignal): Promise<boolean> {
    const [batch] = queue.batches;
    if (batch === undefined) return false;
    const { broker, connection } = this.#deps;
    const { topic, partition } = queue;
    const request = { kind: 'publish', partition: { topic, partition } } as const;
    const isWritten = await connection
      .request(request, () => broker.append(queue, batch), signal)
      .catch(() => false);
    if (isWritten) queue.batches.shift();
    return isWritten;
  }

  async #saved(
    { source, value }: { source: string; value: string },
    signal: AbortSignal,
  ): Promise<{ isDone: boolean; hasProgress: boolean }> {
    const { broker, connection, checkpointsTopic } = this.#deps;
    const save = (): boolean => {
      const saved = broker.checkpoints.get(checkpointsTopic) ?? new Map<string, string>();
      broker.checkpoints.set(checkpointsTopic, saved.set(source, value));
      return true;
    };
    const isDone = await connection
      .request({ kind: 'checkpoint' }, save, signal)
      .catch(() => false);
    return { isDone, hasProgress: false };
  }
}
