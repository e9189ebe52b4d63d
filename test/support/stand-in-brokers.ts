import type { TopicPartition } from '../../src/topics/port.ts';
import { keyOf } from '../../src/topics/key-of.ts';
import type {
  Brokers,
  FetchAnswer,
  OffsetAnswer,
  OffsetQuestion,
  PartitionAnswer,
  ProducerNumber,
  SealedBatch,
  TopicMetadata,
} from '../../src/topics/kafka/wire/brokers.ts';
import {
  MESSAGE_TOO_LARGE,
  NOT_LEADER_OR_FOLLOWER,
  NO_ERROR,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../src/topics/kafka/wire/error-codes.ts';
import { decodeWithKafkajs } from './kafkajs-decoder.ts';

const OUT_OF_ORDER = 45;

/** What happens to one request: after so many ms, to these partitions (null: all of them). */
export interface Fault {
  afterMs: number;
  kind:
    | 'none'
    /** The leader has moved to the next broker, which has answered already or not. */
    | 'moved'
    /** The connection breaks before, or after, the batches are written. */
    | 'unsent'
    | 'unanswered'
    /** Written, and the answer names only the first partition. */
    | 'half answered'
    /** The topic has more partitions from now on; the request is written. */
    | 'grown';
}

export interface Written extends TopicPartition {
  key: string;
  value: string;
}

/** Three brokers that keep everything in memory, and check the numbers of idempotent producers. */
export class StandInBrokers implements Brokers {
  readonly log: Written[] = [];
  /** Batches larger than this are refused. */
  batchBytesMax = Number.POSITIVE_INFINITY;
  requests = 0;
  readonly #faults: Fault[];
  readonly #leaders: number[];
  readonly #sequences = new Map<string, { next: number; last: [number, number][] }>();
  #producers = 0n;
  #underWay = new Set<number>();

  constructor(leaders: number[], faults: Fault[] = []) {
    this.#leaders = leaders;
    this.#faults = faults;
  }

  values(): string[] {
    return this.log.map(({ value }) => value);
  }

  metadata(topics: readonly string[]): Promise<Map<string, TopicMetadata>> {
    const leaders = [...this.#leaders];
    return Promise.resolve(new Map(topics.map((topic) => [topic, { errorCode: 0, leaders }])));
  }

  producer(): Promise<ProducerNumber> {
    return Promise.resolve({ id: (this.#producers += 1n), epoch: 0 });
  }

  async produce(
    node: number,
    batches: readonly SealedBatch[],
    signal: AbortSignal,
  ): Promise<PartitionAnswer[]> {
    this.requests += 1;
    if (this.#underWay.has(node)) throw new Error(`two requests to broker ${node} at once`);
    this.#underWay.add(node);
    const fault = this.#faults.shift() ?? { kind: 'none', afterMs: 0 };
    try {
      await new Promise((resolve) => setTimeout(resolve, fault.afterMs));
      signal.throwIfAborted();
      if (fault.kind === 'unsent') throw new Error('the connection is closed');
      if (fault.kind === 'moved') {
        for (const { partition } of batches) this.#leaders[partition] = (node % 3) + 1;
      }
      const answers: PartitionAnswer[] = [];
      for (const batch of batches) answers.push(await this.#write(node, batch));
      if (fault.kind === 'grown') this.#leaders.push(1);
      if (fault.kind === 'unanswered') throw new Error('the connection is closed');
      return fault.kind === 'half answered' ? answers.slice(0, 1) : answers;
    } finally {
      this.#underWay.delete(node);
    }
  }

  listOffsets(_node: number, asked: readonly OffsetQuestion[]): Promise<OffsetAnswer[]> {
    return Promise.resolve(
      asked.map(({ topic, partition }) => ({ topic, partition, errorCode: 0, offset: 0 })),
    );
  }

  fetch(): Promise<FetchAnswer[]> {
    return Promise.resolve([]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #write(node: number, { topic, partition, bytes }: SealedBatch): Promise<PartitionAnswer> {
    const answer = (errorCode: number): PartitionAnswer => ({ topic, partition, errorCode });
    const leader = this.#leaders[partition];
    if (leader === undefined) return answer(UNKNOWN_TOPIC_OR_PARTITION);
    if (leader !== node) return answer(NOT_LEADER_OR_FOLLOWER);
    if (bytes.length > this.batchBytesMax) return answer(MESSAGE_TOO_LARGE);
    const sequence = bytes.readInt32BE(53);
    const count = bytes.readInt32BE(57);
    const producer = `${bytes.readBigInt64BE(43)} ${keyOf({ topic, partition })}`;
    const known = this.#sequences.get(producer) ?? { next: 0, last: [] };
    this.#sequences.set(producer, known);
    if (known.last.some(([first, size]) => first === sequence && size === count)) {
      return answer(NO_ERROR); // A repeat: it is there already.
    }
    if (sequence !== known.next) return answer(OUT_OF_ORDER);
    known.next += count;
    known.last.push([sequence, count]);
    for (const { key, value } of await decodeWithKafkajs(bytes)) {
      this.log.push({ topic, partition, key: String(key), value: String(value) });
    }
    return answer(NO_ERROR);
  }
}
