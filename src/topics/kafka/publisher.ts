import { setTimeout as sleep } from 'node:timers/promises';
import type { Kafka, Message, Producer, TopicMessages } from 'kafkajs';
import type { Logger } from '../../observe/logger.ts';
import type { OutgoingMessage, Publisher } from '../port.ts';

const ALL_IN_SYNC_REPLICAS = -1;
const CHECKPOINT_EVERY_MS = 100;
const CLOSE_MS_MAX = 3_000;
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
 * A broker refuses what is more than an hour ahead of its own clock, and with it all that follows
 * (message.timestamp.after.max.ms). What a database's clock has put so far ahead counts as now.
 */
const AHEAD_MS_MAX = 30 * 60_000;

function clamp(topicMessages: readonly TopicMessages[]): void {
  // The machine's time also where Date.now() runs on after a step back (steady-clock.ts).
  const nowMs = new Date().getTime();
  for (const { messages } of topicMessages) {
    for (const message of messages) {
      if (Number(message.timestamp) - nowMs > AHEAD_MS_MAX) message.timestamp = String(nowMs);
    }
  }
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
    // A few seconds for what is under way: a broker that is away must not hold up the stop.
    const limit = setTimeout(() => this.#closing.abort(), CLOSE_MS_MAX);
    await this.#last;
    await this.#saveCheckpoints(this.#closing.signal).catch(() => undefined);
    clearTimeout(limit);
    this.#closing.abort();
    await this.#discard();
  }

  async #saveCheckpoints(signal: AbortSignal): Promise<void> {
    const checkpoints = this.#checkpoints;
    if (checkpoints.size === 0) return;
    this.#checkpoints = new Map();
    try {
      const timestamp = String(new Date().getTime());
      const messages = [...checkpoints].map(([key, value]) => ({ key, value, timestamp }));
      await this.#send([{ topic: this.#deps.checkpointsTopic, messages }], signal);
    } catch (error) {
      this.#checkpoints = new Map([...checkpoints, ...this.#checkpoints]);
      throw error;
    }
  }

  /** Tries until it is acknowledged, or `given` aborts, or the publisher has closed: then rejects. */
  async #send(topicMessages: TopicMessages[], given: AbortSignal | undefined): Promise<void> {
    const closing = this.#closing.signal;
    const signal = given === undefined ? closing : AbortSignal.any([given, closing]);
    for (let failures = 0; ; failures++) {
      try {
        // One try of kafkajs lasts for its own retries, far longer than a stop may.
        await orAborted(this.#try(topicMessages), signal);
        if (failures > 0) this.#deps.logger.info('Kafka takes messages again');
        return;
      } catch (error) {
        if (signal.aborted) {
          // What it has still to send must not come after what the next producer sends.
          void this.#discard();
          throw error;
        }
        const halves = isTooLarge(error) ? inHalves(topicMessages) : null;
        if (halves !== null) {
          await this.#discard();
          for (const half of halves) await this.#send(half, given);
          return;
        }
        if (failures === 0) {
          this.#deps.logger.warn(
            `Kafka does not take messages (${(error as Error).message}); capture waits and tries again${adviceFor(error, topicMessages)}`,
          );
        }
        // Whatever its state is (fenced, out of order, disconnected), a new producer is as good:
        // what was not acknowledged is sent again, which can only repeat.
        await this.#discard();
        const waitMs = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 1_000;
        await sleep(waitMs, undefined, { signal });
      }
    }
  }

  async #try(topicMessages: TopicMessages[]): Promise<void> {
    const producer = await this.#connected();
    clamp(topicMessages);
    await producer.sendBatch({ topicMessages, acks: ALL_IN_SYNC_REPLICAS });
  }

  async #discard(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    await producer?.disconnect().catch(() => undefined);
  }

  async #connected(): Promise<Producer> {
    if (this.#producer !== null) return this.#producer;
    const producer = this.#deps.kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
    });
    await producer.connect();
    if (this.#closing.signal.aborted) {
      await producer.disconnect();
      throw new Error('the publisher has closed');
    }
    this.#producer = producer;
    return producer;
  }
}

const isTooLarge = (error: unknown): boolean =>
  (error as { type?: string }).type === 'MESSAGE_TOO_LARGE';

/** The same messages in two sends, in order; null for a single message. */
function inHalves(all: TopicMessages[]): [TopicMessages[], TopicMessages[]] | null {
  const [one, ...others] = all;
  if (one === undefined) return null;
  if (others.length > 0) return [[one], others];
  const middle = Math.floor(one.messages.length / 2);
  if (middle === 0) return null;
  const { topic, messages } = one;
  return [
    [{ topic, messages: messages.slice(0, middle) }],
    [{ topic, messages: messages.slice(middle) }],
  ];
}

function adviceFor(error: unknown, topicMessages: TopicMessages[]): string {
  if ((error as { type?: string }).type === 'INVALID_TIMESTAMP')
    return ". The broker's clock and this machine's are more than an hour apart: set them";
  const [first] = topicMessages;
  if (!isTooLarge(error) || first === undefined) return '';
  const [message] = first.messages;
  const bytes = Buffer.byteLength(message?.value ?? '');
  return `. Raise max.message.bytes of the topic ${first.topic} above the ${bytes} bytes that the row of key ${String(message?.key)} takes`;
}

/** The promise's outcome, or a rejection as soon as `signal` aborts. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
