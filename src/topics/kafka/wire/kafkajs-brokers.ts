import type { Logger } from 'kafkajs';
import { UnavailableError } from '../../../errors.ts';
import type {
  Brokers,
  FetchAnswer,
  FetchQuestion,
  OffsetAnswer,
  OffsetQuestion,
  PartitionAnswer,
  ProducerNumber,
  SealedBatch,
  TopicMetadata,
} from './brokers.ts';
import { FETCH_BYTES_MAX, FETCH_PARTITION_BYTES_MAX } from './brokers.ts';
import { type Inside, type Protocol, checkFetchVersion, checkVersion } from './inside.ts';
import { type Address, Link, type LinkOptions } from './link.ts';
import { decodeFetch, decodeProduce, encodeProduce } from './messages.ts';

/** Brokers wait so long for their replicas; below the time after which a silent one is left. */
const REPLICAS_MS_MAX = 8_000;
const NO_LEADER = -1;
const PRODUCE_VERSION_MIN = 3;
const READ_COMMITTED = 1;

export type WireConfig = Omit<LinkOptions, 'logger'> & { brokers: readonly string[] };

interface MetadataAnswer {
  brokers: { nodeId: number; host: string; port: number }[];
  topicMetadata: {
    topicErrorCode: number;
    topic: string;
    partitionMetadata: { partitionId: number; leader: number }[];
  }[];
}

interface OffsetsAnswer {
  responses: {
    topic: string;
    partitions: { partition: number; errorCode: number; offset: string }[];
  }[];
}

/** As kafkajs reads the answer. */
const asTheyDo = <T>({ request, response, ...rest }: Protocol) => ({
  request,
  ...rest,
  decode: (payload: Buffer) => response.decode(payload) as Promise<T>,
});

/**
 * A cluster, over kafkajs' Broker and connections. One link a broker, shared by everything that
 * asks; who wants only one request under way sees to it (see `Sender`).
 */
export class KafkajsBrokers implements Brokers {
  readonly #inside: Inside;
  readonly #options: LinkOptions;
  readonly #seeds: readonly Link[];
  readonly #nodes = new Map<number, Link>();

  constructor(inside: Inside, logger: Logger, { brokers, ...config }: WireConfig) {
    this.#inside = inside;
    this.#options = { ...config, logger };
    this.#seeds = brokers.map((broker) => new Link(this.#inside, this.#options, addressOf(broker)));
  }

  async metadata(
    topics: readonly string[],
    signal: AbortSignal,
  ): Promise<Map<string, TopicMetadata>> {
    const options = { topics: [...topics], allowAutoTopicCreation: false };
    return await this.#askAny(signal, async (link) => {
      const answer = await link.ask('Metadata', options, asTheyDo<MetadataAnswer>, signal);
      this.#know(answer.brokers);
      return new Map(answer.topicMetadata.map((one) => [one.topic, metadataOf(one)]));
    });
  }

  async producer(signal: AbortSignal): Promise<ProducerNumber> {
    return await this.#askAny(signal, async (link) => {
      const answer = await link.ask(
        'InitProducerId',
        { transactionalId: null, transactionTimeout: 60_000 },
        asTheyDo<{ errorCode: number; producerId: string; producerEpoch: number }>,
        signal,
      );
      if (answer.errorCode !== 0) throw this.#inside.errorOf(answer.errorCode);
      return { id: BigInt(answer.producerId), epoch: answer.producerEpoch };
    });
  }

  async produce(
    node: number,
    batches: readonly SealedBatch[],
    signal: AbortSignal,
  ): Promise<PartitionAnswer[]> {
    const body = encodeProduce(batches, REPLICAS_MS_MAX);
    const ours = ({ request }: Protocol) => {
      const version = checkVersion(request, PRODUCE_VERSION_MIN);
      return {
        request,
        body,
        decode: (payload: Buffer) => Promise.resolve(decodeProduce(payload, version)),
      };
    };
    return await this.#node(node).ask('Produce', { acks: -1, topicData: [] }, ours, signal);
  }

  async listOffsets(
    node: number,
    asked: readonly OffsetQuestion[],
    signal: AbortSignal,
  ): Promise<OffsetAnswer[]> {
    const topics = asked.map(({ topic, partition, timestampMs }) => ({
      topic,
      partitions: [{ partition, timestamp: timestampMs }],
    }));
    const options = { isolationLevel: READ_COMMITTED, topics };
    const { responses } = await this.#node(node).ask(
      'ListOffsets',
      options,
      asTheyDo<OffsetsAnswer>,
      signal,
    );
    return responses.flatMap(({ topic, partitions }) =>
      partitions.map(({ offset, ...one }) => ({ topic, ...one, offset: Number(offset) })),
    );
  }

  async fetch(
    node: number,
    asked: readonly FetchQuestion[],
    waitMs: number,
    signal: AbortSignal,
  ): Promise<FetchAnswer[]> {
    const topics = asked.map(({ topic, partition, offset }) => ({
      topic,
      partitions: [{ partition, fetchOffset: offset, maxBytes: FETCH_PARTITION_BYTES_MAX }],
    }));
    const options = {
      isolationLevel: READ_COMMITTED,
      maxWaitTime: waitMs,
      minBytes: 1,
      maxBytes: FETCH_BYTES_MAX,
      topics,
    };
    const ours = ({ request }: Protocol) => {
      const version = checkFetchVersion(request);
      return {
        request,
        decode: (payload: Buffer) => Promise.resolve(decodeFetch(payload, version)),
      };
    };
    const answer = await this.#node(node).ask('Fetch', options, ours, signal);
    if (answer.errorCode !== 0) throw this.#inside.errorOf(answer.errorCode);
    return answer.answers;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const link of [...this.#nodes.values(), ...this.#seeds]) link.drop();
    this.#nodes.clear();
    return Promise.resolve();
  }

  #node(id: number): Link {
    const link = this.#nodes.get(id);
    if (link === undefined) throw new Error(`the cluster does not tell where broker ${id} is`);
    return link;
  }

  /** Those that failed last come last: one that is frozen costs its time once. */
  async #askAny<T>(signal: AbortSignal, question: (link: Link) => Promise<T>): Promise<T> {
    const links = [...this.#nodes.values(), ...this.#seeds].sort((a, b) => a.failedMs - b.failedMs);
    let last: unknown = null;
    for (const link of links) {
      try {
        return await question(link);
      } catch (error) {
        if (signal.aborted || error instanceof UnavailableError) throw error;
        last = error;
      }
    }
    throw last;
  }

  #know(brokers: MetadataAnswer['brokers']): void {
    // An answer without brokers comes from one that has just started.
    if (brokers.length === 0) return;
    const now = new Set(brokers.map(({ nodeId }) => nodeId));
    for (const [id, link] of this.#nodes) {
      if (now.has(id)) continue;
      link.drop();
      this.#nodes.delete(id);
    }
    for (const { nodeId, host, port } of brokers) {
      const known = this.#nodes.get(nodeId);
      if (known?.isAt({ host, port }) === true) continue;
      known?.drop();
      this.#nodes.set(nodeId, new Link(this.#inside, this.#options, { host, port }));
    }
  }
}

function metadataOf(topic: MetadataAnswer['topicMetadata'][number]): TopicMetadata {
  const count = Math.max(-1, ...topic.partitionMetadata.map(({ partitionId }) => partitionId)) + 1;
  const leaders: (number | null)[] = Array.from({ length: count }, () => null);
  for (const { partitionId, leader } of topic.partitionMetadata) {
    leaders[partitionId] = leader === NO_LEADER ? null : leader;
  }
  return { errorCode: topic.topicErrorCode, leaders };
}

function addressOf(broker: string): Address {
  const colon = broker.lastIndexOf(':');
  const host = broker.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(broker.slice(colon + 1)) };
}
