import { partitionOf } from '../partitioner.ts';
import type { OutgoingBatch, OutgoingMessage, TopicPartition, ValueWriter } from '../port.ts';
import type { BufferPool } from './buffer-pool.ts';
import { encodeHeaders } from './headers.ts';
import { type PartitionQueue, batchFor, clampedTime, cutQueue } from './partition-queue.ts';
import type { RecordBatch, RecordView } from './record-batch.ts';

/** A value that may take more is written apart, so that one large text keeps no memory. */
const IN_PLACE_BYTES_MAX = 64 * 1024;
interface TopicQueues {
  topic: string;
  /** That its messages are dealt out to; 0: not known yet, all lie in the first queue. */
  partitions: number;
  queues: (PartitionQueue | undefined)[];
}

export interface BatchSetOptions {
  /** How many partitions a topic has now; 0 where that is not known. */
  partitionsOf: (topic: string) => number;
  /** The clock that times are clamped by, epoch ms; null: they stay as they are. */
  nowMs: (() => number) | null;
  /** Where batches get their buffers from; whoever has sent a batch releases it. */
  pool?: BufferPool;
}

/** Messages on their way, encoded, by partition. Messages with one key keep their order. */
export class BatchSet implements OutgoingBatch {
  readonly #options: BatchSetOptions;
  readonly #topics = new Map<string, TopicQueues>();
  #lastTopic: TopicQueues | null = null;
  /** Messages of one transaction share their headers and their time. */
  #lastHeaders: OutgoingMessage['headers'] | null = null;
  #lastHeadersEncoded: Uint8Array = new Uint8Array();
  #lastTimeMs = Number.NaN;
  #lastTimeClamped = 0;
  #key = Buffer.allocUnsafe(64);
  /** Of every message since `settle`, where it is; what is after them is of no use any more. */
  readonly #unsettled: PartitionQueue[] = [];
  #unsettledCount = 0;
  #count = 0;
  #bytes = 0;

  constructor(options: BatchSetOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push({ topic, key, value, timestampMs, headers }: OutgoingMessage): void {
    this.#push(topic, key, value, this.#clamped(timestampMs), this.#encoded(headers));
  }

  pushWritten(
    topic: string,
    key: number | string,
    value: ValueWriter,
    timestampMs: number,
    headers: Uint8Array,
  ): void {
    const timeMs = this.#clamped(timestampMs);
    const most = value.bytesMax();
    if (most > IN_PLACE_BYTES_MAX) {
      const apart = Buffer.allocUnsafe(most);
      const bytes = apart.subarray(0, value.write(apart, 0));
      return this.#push(topic, key, bytes, timeMs, headers);
    }
    const keyBytes = this.#encodeKey(key);
    const queue = this.#queueOf(topic, this.#key, keyBytes);
    const batch = this.#batchFor(queue, keyBytes + most + headers.length);
    const before = batch.bytes;
    batch.pushWritten(this.#key, keyBytes, value, most, timeMs, headers);
    this.#pushed(queue, batch.bytes - before);
  }

  #push(
    topic: string,
    key: number | string,
    value: string | Uint8Array,
    timeMs: number,
    headers: Uint8Array,
  ): void {
    const keyBytes = this.#encodeKey(key);
    const queue = this.#queueOf(topic, this.#key, keyBytes);
    const valueBytes = typeof value === 'string' ? Buffer.byteLength(value) : value.length;
    const batch = this.#batchFor(queue, keyBytes + valueBytes + headers.length);
    const before = batch.bytes;
    batch.push(this.#key, keyBytes, value, timeMs, headers);
    this.#pushed(queue, batch.bytes - before);
  }

  /** To this partition, wherever its key belongs; a value of null removes the key. */
  pushTo(
    { topic, partition }: TopicPartition,
    message: Omit<OutgoingMessage, 'topic' | 'value'> & { value: string | null },
  ): void {
    const { key, value, timestampMs, headers } = message;
    const keyBytes = this.#encodeKey(key);
    const encoded = this.#encoded(headers);
    const queue = queueAt(this.#queuesOf(topic), partition);
    const valueBytes = Buffer.byteLength(value ?? '');
    const batch = this.#batchFor(queue, keyBytes + valueBytes + encoded.length);
    batch.push(this.#key, keyBytes, value, timestampMs, encoded);
    this.#pushed(queue, 0);
  }

  settle(): void {
    this.#unsettledCount = 0;
  }

  cut(count: number): BatchSet {
    const kept = this.#unsettledCount - (this.#count - count);
    if (kept < 0) throw new RangeError('what was settled stays');
    const moved = this.#unsettled.slice(kept, this.#unsettledCount);
    this.#unsettledCount = kept;
    const counts = new Map<PartitionQueue, number>();
    for (const queue of moved) counts.set(queue, (counts.get(queue) ?? 0) + 1);
    const rest = new BatchSet(this.#options);
    const others = new Map<PartitionQueue, PartitionQueue>();
    for (const [queue, records] of counts) {
      const queues = rest.#queuesOf(queue.topic);
      queues.partitions = this.#queuesOf(queue.topic).partitions;
      const other = queueAt(queues, queue.partition);
      other.batches = cutQueue(queue, records);
      for (const { bytes } of other.batches) rest.#bytes += bytes;
      others.set(queue, other);
    }
    for (const queue of moved) rest.#unsettled.push(others.get(queue) ?? queue);
    rest.#unsettledCount = rest.#count = moved.length;
    this.#count = count;
    this.#bytes = 0;
    for (const { batches } of this.queues) for (const { bytes } of batches) this.#bytes += bytes;
    return rest;
  }

  /** What is still to be sent. Whoever sends takes batches off the front. */
  get queues(): PartitionQueue[] {
    return [...this.#topics.values()]
      .flatMap(({ queues }) => queues)
      .filter((queue) => queue !== undefined)
      .filter(({ batches }) => batches.length > 0);
  }

  get topics(): string[] {
    return [...this.#topics.keys()];
  }

  /**
   * Deals out again what is left for topics whose number of partitions is another now; a topic
   * whose number isn't known waits. Whether there was one. What is left is settled.
   */
  dealAgain(): boolean {
    let isOther = false;
    this.settle();
    // A copy: topics that are dealt out again are put in anew.
    const before = Array.from(this.#topics.values());
    for (const { topic, partitions, queues } of before) {
      const now = this.#options.partitionsOf(topic);
      if (now === 0 || now === partitions) continue;
      isOther = true;
      this.#topics.delete(topic);
      this.#lastTopic = null;
      for (const queue of queues) {
        for (const batch of queue?.batches ?? []) {
          for (const record of batch) this.#deal(topic, record);
        }
      }
    }
    return isOther;
  }

  #deal(topic: string, record: RecordView): void {
    const key = record.key ?? new Uint8Array();
    const bytes = key.length + (record.value?.length ?? 0) + record.headers.length;
    this.#batchFor(this.#queueOf(topic, key, key.length), bytes).copy(record);
  }

  #batchFor(queue: PartitionQueue, bytes: number): RecordBatch {
    return batchFor(queue, bytes, this.#options.pool ?? null);
  }

  #queueOf(topic: string, key: Uint8Array, keyBytes: number): PartitionQueue {
    const queues = this.#queuesOf(topic);
    const { partitions } = queues;
    return queueAt(queues, partitions === 0 ? 0 : partitionOf(key, keyBytes, partitions));
  }

  #queuesOf(topic: string): TopicQueues {
    if (this.#lastTopic?.topic === topic) return this.#lastTopic;
    let queues = this.#topics.get(topic);
    if (queues === undefined) {
      queues = { topic, partitions: this.#options.partitionsOf(topic), queues: [] };
      this.#topics.set(topic, queues);
    }
    this.#lastTopic = queues;
    return queues;
  }

  #pushed(queue: PartitionQueue, bytes: number): void {
    this.#unsettled[this.#unsettledCount] = queue;
    this.#unsettledCount += 1;
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** Into `#key`; returns its length. */
  #encodeKey(key: number | string): number {
    if (typeof key === 'number' && key >= 0 && (key | 0) === key)
      return writeDigits(this.#key, key);
    const text = String(key);
    if (text.length * 3 > this.#key.length) this.#key = Buffer.allocUnsafe(text.length * 3);
    return this.#key.write(text, 0);
  }

  #encoded(headers: OutgoingMessage['headers']): Uint8Array {
    if (headers !== this.#lastHeaders) {
      this.#lastHeaders = headers;
      this.#lastHeadersEncoded = encodeHeaders(headers);
    }
    return this.#lastHeadersEncoded;
  }

  #clamped(timestampMs: number): number {
    if (timestampMs !== this.#lastTimeMs) {
      this.#lastTimeMs = timestampMs;
      const ms = Math.max(0, Math.floor(timestampMs));
      this.#lastTimeClamped = clampedTime(ms, this.#options.nowMs?.() ?? ms);
    }
    return this.#lastTimeClamped;
  }
}

/** A list is encoded now, into `empty`. @throws TypeError for another publisher's batch. */
export function asBatchSet(
  messages: OutgoingBatch | readonly OutgoingMessage[],
  empty: () => BatchSet,
): BatchSet {
  if (messages instanceof BatchSet) return messages;
  if (!('length' in messages)) throw new TypeError("another publisher's batch");
  const set = empty();
  for (const message of messages) set.push(message);
  return set;
}

/** A whole number up to 2^31 in decimal, at the beginning; how many digits it takes. */
function writeDigits(to: Uint8Array, number: number): number {
  let digits = 1;
  for (let limit = 10; number >= limit; limit *= 10) digits += 1;
  let rest = number | 0;
  for (let at = digits - 1; at >= 0; at -= 1) {
    const next = (rest / 10) | 0;
    to[at] = 0x30 + rest - next * 10;
    rest = next;
  }
  return digits;
}

function queueAt({ topic, queues }: TopicQueues, partition: number): PartitionQueue {
  return (queues[partition] ??= { topic, partition, batches: [] });
}
