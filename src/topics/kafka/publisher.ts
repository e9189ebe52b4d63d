import { setTimeout as sleep } from 'node:timers/promises';
import type { Kafka, Message, Producer, TopicMessages } from 'kafkajs';
import type { Logger } from '../../observe/logger.ts';
import type { OutgoingMessage, Publisher } from '../port.ts';

const ALL_IN_SYNC_REPLICAS = -1;
const CHECKPOINT_EVERY_MS = 100;
const RETRY_MS = [100, 250, 500, 1_000, 2_000];

export interface PublisherDeps {
  kafka: Kafka;
  checkpointsTopic: string;
  loadCheckpoint: (source: string) => Promise<string | null>;
  logger: Logger;
}

/** Groups by topic, in order. */
function byTopic(messages: readonly OutgoingMessage[]): TopicMessages[] {
  const topics = new Map<string, Message[]>();
  for (const { topic, key, value, timestampMs, headers } of messages) {
    let list = topics.get(topic);
    if (list === undefined) topics.set(topic, (list = []));
    list.push({ key, value, timestamp: String(Math.floor(timestampMs)), headers });
  }
  return [...topics].map(([topic, list]) => ({ topic, messages: list }));
}

/**
 * An idempotent producer: what was acknowledged is with all in-sync replicas, once, in order. The
 * checkpoint follows its messages by up to CHECKPOINT_EVERY_MS, which can only make repeats.
 */
export class KafkaPublisher implements Publisher {
  readonly #deps: PublisherDeps;
  #producer: Producer | null = null;
  #last: Promise<void> = Promise.resolve();
  /** Not saved yet, by source. */
  #checkpoints = new Map<string, string>();
  #checkpointTimer: NodeJS.Timeout | null = null;
  readonly #closing = new AbortController();

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  publish(
    messages: readonly OutgoingMessage[],
    checkpoint?: { source: string; value: string },
    signal?: AbortSignal,
  ): Promise<void> {
    const done = this.#last.then(async () => {
      if (messages.length > 0) await this.#send(byTopic(messages), signal);
      if (checkpoint === undefined) return;
      this.#checkpoints.set(checkpoint.source, checkpoint.value);
      this.#checkpointTimer ??= setTimeout(() => {
        this.#checkpointTimer = null;
        this.#last = this.#last
          .then(() => this.#saveCheckpoints(this.#closing.signal))
          .catch(() => undefined);
      }, CHECKPOINT_EVERY_MS);
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async loadCheckpoint(source: string): Promise<string | null> {
    return this.#checkpoints.get(source) ?? (await this.#deps.loadCheckpoint(source));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#checkpointTimer !== null) clearTimeout(this.#checkpointTimer);
    await this.#last;
    // One try of a few seconds: a broker that is away must not hold up the stop.
    const limit = setTimeout(() => this.#closing.abort(), 3_000);
    await this.#saveCheckpoints(this.#closing.signal).catch(() => undefined);
    clearTimeout(limit);
    this.#closing.abort();
    await this.#producer?.disconnect().catch(() => undefined);
  }

  async #saveCheckpoints(signal: AbortSignal): Promise<void> {
    const checkpoints = this.#checkpoints;
    if (checkpoints.size === 0) return;
    this.#checkpoints = new Map();
    try {
      const messages = [...checkpoints].map(([key, value]) => ({ key, value }));
      await this.#send([{ topic: this.#deps.checkpointsTopic, messages }], signal);
    } catch (error) {
      this.#checkpoints = new Map([...checkpoints, ...this.#checkpoints]);
      throw error;
    }
  }

  /** Tries until it is acknowledged, or `signal` aborts. */
  async #send(topicMessages: TopicMessages[], signal: AbortSignal | undefined): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        const producer = await this.#connected();
        await producer.sendBatch({ topicMessages, acks: ALL_IN_SYNC_REPLICAS });
        if (failures > 0) this.#deps.logger.info('Kafka takes messages again');
        return;
      } catch (error) {
        if (signal?.aborted === true) throw error;
        if (failures === 0) {
          this.#deps.logger.warn(
            `Kafka does not take messages (${(error as Error).message}); capture waits and tries again`,
          );
        }
        // Whatever its state is (fenced, out of order, disconnected), a new producer is as good:
        // what was not acknowledged is sent again, which can only repeat.
        await this.#producer?.disconnect().catch(() => undefined);
        this.#producer = null;
        const waitMs = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 1_000;
        await sleep(waitMs, undefined, signal === undefined ? {} : { signal });
      }
    }
  }

  async #connected(): Promise<Producer> {
    if (this.#producer !== null) return this.#producer;
    const producer = this.#deps.kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
    });
    await producer.connect();
    this.#producer = producer;
    return producer;
  }
}
