import { decodeHeaders } from '../batch/headers.ts';
import type { RecordBatch } from '../batch/record-batch.ts';
import type { ReceivedMessage, TopicPartition } from '../port.ts';

/** One partition's messages. A topic that is made anew has another object for each partition. */
export class PartitionLog implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** Of whoever has to know that something in it is another now. */
  readonly #onChange: () => void;
  #begin = 0;
  #messages: ReceivedMessage[] = [];
  #hasLeader = true;

  constructor({ topic, partition }: TopicPartition, onChange: () => void) {
    this.topic = topic;
    this.partition = partition;
    this.#onChange = onChange;
  }

  get begin(): number {
    return this.#begin;
  }

  get end(): number {
    return this.#begin + this.#messages.length;
  }

  /** While it is false, the partition takes nothing and gives nothing. */
  get hasLeader(): boolean {
    return this.#hasLeader;
  }

  set hasLeader(hasLeader: boolean) {
    this.#hasLeader = hasLeader;
    this.#onChange();
  }

  append(batch: RecordBatch): void {
    const { topic, partition } = this;
    for (const { key, value, timestampMs, headers } of batch) {
      this.#messages.push({
        topic,
        partition,
        offset: this.end,
        key: textOf(key),
        value: textOf(value),
        timestampMs,
        headers: decodeHeaders(headers),
      });
    }
    this.#onChange();
  }

  /** Up to `countMax` messages of the range, in order; those that are gone are left out. */
  slice(from: number, end: number, countMax: number): ReceivedMessage[] {
    const first = Math.max(0, from - this.#begin);
    return this.#messages.slice(first, Math.min(first + countMax, end - this.#begin));
  }

  /** The first message with this time or a later one; the end where there is none. */
  offsetAtTime(timeMs: number): number {
    return this.#messages.find(({ timestampMs }) => timestampMs >= timeMs)?.offset ?? this.end;
  }

  /** Drops the messages before the first that is not older. How many they were. */
  dropOld(beforeMs: number): number {
    const upto = this.offsetAtTime(beforeMs);
    const dropped = upto - this.#begin;
    if (dropped === 0) return 0;
    this.#messages = this.#messages.slice(dropped);
    this.#begin = upto;
    this.#onChange();
    return dropped;
  }
}

const textOf = (bytes: Buffer | null): string | null => bytes?.toString('utf8') ?? null;
