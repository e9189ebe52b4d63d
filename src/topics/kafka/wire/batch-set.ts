import { partitionOf } from '../../partitioner.ts';
import type { OutgoingMessage, TopicPartition } from '../../port.ts';
import { RecordBatch, type RecordView, encodeHeaders } from '../record-batch.ts';

/** Below the 1 MB that a broker takes in one batch unless told otherwise (message.max.bytes). */
const BATCH_BYTES_MAX = 900 * 1024;
/** More than the header of a batch and the framing of its last record. */
const MARGIN_BYTES = 128;
/**
 * A broker refuses what is more than an hour ahead of its own clock, and with it all that is in the
 * batch (message.timestamp.after.max.ms). What a database's clock has put so far ahead counts as now.
 */
const AHEAD_MS_MAX = 30 * 60_000;

/** What goes to one partition, in order. */
export interface PartitionQueue extends TopicPartition {
  batches: RecordBatch[];
}

/** Messages on their way, encoded, by partition. Messages with one key keep their order. */
export class BatchSet {
  readonly #partitionsOf: (topic: string) => number;
  readonly #topics = new Map<string, (PartitionQueue | undefined)[]>();
  /** Messages of one transaction share their headers. */
  readonly #headers = new WeakMap<object, Uint8Array>();
  #key = Buffer.allocUnsafe(64);

  /** `partitionsOf` tells how many partitions a topic has now. */
  constructor(partitionsOf: (topic: string) => number) {
    this.#partitionsOf = partitionsOf;
  }

  /** `nowMs`: the time by this machine's clock. */
  push({ topic, key, value, timestampMs, headers }: OutgoingMessage, nowMs: number): void {
    const keyBytes = this.#encodeKey(key);
    const partition = partitionOf(this.#key, keyBytes, this.#partitionsOf(topic));
    const encoded = this.#encodeHeaders(headers);
    const bytes = keyBytes + Buffer.byteLength(value) + encoded.length;
    const batch = this.#batch(topic, partition, bytes);
    batch.push(this.#key, keyBytes, value, clamped(timestampMs, nowMs), encoded);
  }

  /** To this partition, wherever its key belongs; a value of null removes the key. */
  pushTo(
    { topic, partition }: TopicPartition,
    message: Omit<OutgoingMessage, 'topic' | 'value'> & { value: string | null },
  ): void {
    const { key, value, timestampMs, headers } = message;
    const keyBytes = this.#encodeKey(key);
    const encoded = this.#encodeHeaders(headers);
    const bytes = keyBytes + Buffer.byteLength(value ?? '') + encoded.length;
    this.#batch(topic, partition, bytes).push(this.#key, keyBytes, value, timestampMs, encoded);
  }

  /** What is still to be sent. Whoever sends takes batches off the front. */
  get queues(): PartitionQueue[] {
    return [...this.#topics.values()]
      .flat()
      .filter((queue) => queue !== undefined)
      .filter(({ batches }) => batches.length > 0);
  }

  get topics(): string[] {
    return [...this.#topics.keys()];
  }

  /**
   * Deals out again what is left for topics whose number of partitions is another now; a topic
   * whose number isn't known waits. Whether there was one.
   */
  dealAgain(): boolean {
    let isOther = false;
    for (const [topic, queues] of this.#topics) {
      const now = this.#partitionsOf(topic);
      const isChanged = now > 0 && now !== (this.#counts.get(topic) ?? now);
      if (!isChanged) continue;
      isOther = true;
      this.#topics.delete(topic);
      for (const queue of queues) {
        for (const batch of queue?.batches ?? []) {
          for (const record of batch) this.#deal(topic, record);
        }
      }
    }
    return isOther;
  }

  /** By topic, the partitions that its messages were dealt out to. */
  readonly #counts = new Map<string, number>();

  #deal(topic: string, record: RecordView): void {
    const key = record.key ?? new Uint8Array();
    const partition = partitionOf(key, key.length, this.#partitionsOf(topic));
    const bytes = key.length + (record.value?.length ?? 0) + record.headers.length;
    this.#batch(topic, partition, bytes).copy(record);
  }

  /** The batch that takes so many more bytes: a record that is too large has one for itself. */
  #batch(topic: string, partition: number, bytes: number): RecordBatch {
    let queues = this.#topics.get(topic);
    if (queues === undefined) {
      this.#topics.set(topic, (queues = []));
      this.#counts.set(topic, this.#partitionsOf(topic));
    }
    const queue = (queues[partition] ??= { topic, partition, batches: [] });
    const last = queue.batches.at(-1);
    if (last !== undefined && last.bytes + bytes + MARGIN_BYTES <= BATCH_BYTES_MAX) return last;
    const batch = new RecordBatch();
    queue.batches.push(batch);
    return batch;
  }

  /** Into `#key`; returns its length. */
  #encodeKey(key: string): number {
    if (key.length * 3 > this.#key.length) this.#key = Buffer.allocUnsafe(key.length * 3);
    return this.#key.write(key, 0);
  }

  #encodeHeaders(headers: Readonly<Record<string, string>>): Uint8Array {
    let encoded = this.#headers.get(headers);
    if (encoded === undefined) this.#headers.set(headers, (encoded = encodeHeaders(headers)));
    return encoded;
  }
}

function clamped(timestampMs: number, nowMs: number): number {
  const ms = Math.floor(timestampMs);
  return ms - nowMs > AHEAD_MS_MAX ? nowMs : Math.max(0, ms);
}

/**
 * Clamps the times of the first batch anew, as `push` does: this machine's clock has been set back
 * since. Whether one of them was too far ahead.
 */
export function clampFirst(queue: PartitionQueue, nowMs: number): boolean {
  const batch = queue.batches[0]?.withTimesUpTo(nowMs + AHEAD_MS_MAX, nowMs) ?? null;
  if (batch !== null) queue.batches[0] = batch;
  return batch !== null;
}
