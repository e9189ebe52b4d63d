import { setTimeout as sleep } from 'node:timers/promises';
import type { Outages } from '../../observe/outages.ts';
import { BatchSet, asBatchSet } from '../batch/batch-set.ts';
import { BufferPool } from '../batch/buffer-pool.ts';
import type { OutgoingBatch, OutgoingMessage, Publisher } from '../port.ts';
import { machineTimeMs } from './machine-time.ts';
import {
  INVALID_TIMESTAMP,
  MESSAGE_TOO_LARGE,
  RECORD_LIST_TOO_LARGE,
  TOPIC_AUTHORIZATION_FAILED,
} from './wire/error-codes.ts';
import type { SendTrouble, Sender } from './wire/sender.ts';
import type { Wire } from './wire/wire.ts';

const CLOSE_MS_MAX = 3_000;
const UNKNOWN_TOPIC_RETRY_MS = 250;
const NO_HEADERS = {};

export interface PublisherDeps {
  wire: Wire;
  sender: Sender;
  checkpointsTopic: string;
  loadCheckpoint: (source: string) => Promise<string | null>;
  outages: Outages;
}

/**
 * What was acknowledged is with all in-sync replicas, in order, and so is a checkpoint, which is
 * written after its messages: it costs a second round trip, and capture asks for one each 200 ms
 * at most. How that is kept while brokers come and go: see `Sender`.
 */
export class KafkaPublisher implements Publisher {
  readonly #deps: PublisherDeps;
  readonly #pool = new BufferPool();
  readonly #closing = new AbortController();
  readonly #joined = new WeakMap<AbortSignal, AbortSignal>();
  #last: Promise<void> = Promise.resolve();

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  batch(): BatchSet {
    const { leaders } = this.#deps.wire;
    return new BatchSet({
      partitionsOf: (topic) => leaders.partitions(topic),
      nowMs: machineTimeMs,
      pool: this.#pool,
    });
  }

  publish(
    messages: OutgoingBatch | readonly OutgoingMessage[],
    checkpoint?: { source: string; value: string },
    signal?: AbortSignal,
  ): Promise<void> {
    const either = this.#orClosing(signal);
    const done = this.#last.then(async () => {
      const set = asBatchSet(messages, () => this.batch());
      if (set.count > 0) await this.#send(set, either);
      if (checkpoint === undefined) return;
      const saved = asBatchSet([this.#checkpointMessage(checkpoint)], () => this.batch());
      await this.#send(saved, either);
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async loadCheckpoint(source: string): Promise<string | null> {
    return await this.#deps.loadCheckpoint(source);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A few seconds for what is under way: a broker that is away must not hold up the stop.
    const limit = setTimeout(() => this.#closing.abort(), CLOSE_MS_MAX);
    await this.#last;
    clearTimeout(limit);
    this.#closing.abort();
  }

  /** One for each signal, and not for each publish: it costs more than a message. */
  #orClosing(signal: AbortSignal | undefined): AbortSignal {
    const closing = this.#closing.signal;
    if (signal === undefined) return closing;
    const either = this.#joined.get(signal) ?? AbortSignal.any([signal, closing]);
    this.#joined.set(signal, either);
    return either;
  }

  #checkpointMessage({ source, value }: { source: string; value: string }): OutgoingMessage {
    const topic = this.#deps.checkpointsTopic;
    return { topic, key: source, value, timestampMs: machineTimeMs(), headers: NO_HEADERS };
  }

  /** Tries until it is acknowledged, or the signal aborts: then rejects. */
  async #send(set: BatchSet, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#knowTopics(set.topics, signal);
    set.dealAgain();
    await this.#deps.sender.send(set, signal, (trouble) => this.#failed(trouble));
    this.#deps.outages.set('Kafka', 'publishing', null);
  }

  /** A key's partition can't be told before the number of partitions is. */
  async #knowTopics(topics: readonly string[], signal: AbortSignal): Promise<void> {
    const { leaders } = this.#deps.wire;
    for (;;) {
      let message: string;
      try {
        await leaders.know(topics, signal);
        const missing = topics.find((topic) => leaders.partitions(topic) === 0);
        if (missing === undefined) return;
        message = `the topic ${missing}: it is not there`;
      } catch (error) {
        signal.throwIfAborted();
        ({ message } = error as Error);
      }
      this.#failed({ errorCode: null, message, queue: null });
      await sleep(UNKNOWN_TOPIC_RETRY_MS, undefined, { signal });
    }
  }

  #failed(trouble: SendTrouble): void {
    const advice = adviceFor(trouble);
    this.#deps.outages.set(
      'Kafka',
      'publishing',
      `Kafka does not take messages (${trouble.message}); capture waits and tries again${advice}`,
      { isAdvice: advice !== '' },
    );
  }
}

/** What somebody has to do about it; empty where it may pass by itself. */
function adviceFor({ errorCode, queue }: SendTrouble): string {
  switch (errorCode) {
    case INVALID_TIMESTAMP:
      return ". The broker's clock and this machine's are more than an hour apart: set them";
    case TOPIC_AUTHORIZATION_FAILED:
      return `. Grant this user Write on the topic ${queue?.topic ?? ''}`;
    case MESSAGE_TOO_LARGE:
    case RECORD_LIST_TOO_LARGE: {
      const [record] = queue?.batches[0] ?? [];
      const key = Buffer.from(record?.key ?? []).toString('utf8');
      return `. Raise max.message.bytes of the topic ${queue?.topic ?? ''} above the ${record?.value?.length ?? 0} bytes that the row of key ${key} takes`;
    }
    case null:
    default:
      return '';
  }
}
