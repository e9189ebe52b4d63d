import { ByteReader } from './byte-reader.ts';
import type { FetchAnswer, PartitionAnswer, SealedBatch } from './brokers.ts';

const ALL_IN_SYNC_REPLICAS = -1;
const NO_TRANSACTION = -1;

function byTopic<T extends { topic: string }>(all: readonly T[]): [string, T[]][] {
  const topics = new Map<string, T[]>();
  for (const one of all) {
    const list = topics.get(one.topic);
    if (list === undefined) topics.set(one.topic, [one]);
    else list.push(one);
  }
  return [...topics];
}

/**
 * The body of a Produce request, version 3 to 7: transactional_id acks timeout_ms
 * [topic [partition records]], in parts, since batches are not copied. The brokers wait `timeoutMs`
 * for their replicas.
 */
export function encodeProduce(batches: readonly SealedBatch[], timeoutMs: number): Buffer[] {
  const topics = byTopic(batches);
  let size = 2 + 2 + 4 + 4;
  for (const [topic, list] of topics) {
    size += 2 + Buffer.byteLength(topic) + 4;
    size += list.length * (4 + 4);
  }
  const frame = Buffer.allocUnsafe(size);
  const parts: Buffer[] = [];
  let from = 0;
  let at = frame.writeInt16BE(NO_TRANSACTION, 0);
  at = frame.writeInt16BE(ALL_IN_SYNC_REPLICAS, at);
  at = frame.writeInt32BE(timeoutMs, at);
  at = frame.writeInt32BE(topics.length, at);
  for (const [topic, list] of topics) {
    at = frame.writeInt16BE(Buffer.byteLength(topic), at);
    at += frame.write(topic, at);
    at = frame.writeInt32BE(list.length, at);
    for (const { partition, bytes } of list) {
      at = frame.writeInt32BE(partition, at);
      at = frame.writeInt32BE(bytes.length, at);
      parts.push(frame.subarray(from, at), bytes);
      from = at;
    }
  }
  return parts;
}

/** The answer to Produce, version 3 to 7. */
export function decodeProduce(payload: Buffer, version: number): PartitionAnswer[] {
  const read = new ByteReader(payload);
  const topics = read.array(() => {
    const topic = read.string();
    return read.array(() => {
      const answer = { topic, partition: read.int32(), errorCode: read.int16() };
      read.int64(); // Base offset.
      read.int64(); // Time, where the broker sets it.
      if (version >= 5) read.int64(); // Begin of the log.
      return answer;
    });
  });
  return topics.flat();
}

/** The answer to Fetch, version 4 to 11, its record batches as they are. */
export function decodeFetch(
  payload: Buffer,
  version: number,
): { errorCode: number; throttleMs: number; answers: FetchAnswer[] } {
  const read = new ByteReader(payload);
  const throttledMs = read.int32();
  // Before, the broker has waited itself (KIP-219).
  const throttleMs = version >= 8 ? throttledMs : 0;
  const errorCode = version >= 7 ? read.int16() : 0;
  if (version >= 7) read.int32(); // Session.
  const topics = read.array(() => {
    const topic = read.string();
    return read.array(() => {
      const head = { topic, partition: read.int32(), errorCode: read.int16() };
      const highWatermark = Number(read.int64());
      const end = Number(read.int64());
      if (version >= 5) read.int64(); // Begin of the log.
      const aborted = read.array(() => ({
        producerId: read.int64(),
        firstOffset: Number(read.int64()),
      }));
      if (version >= 11) read.int32(); // Preferred replica.
      return { ...head, highWatermark, end, aborted, records: read.bytes() };
    });
  });
  return { errorCode, throttleMs, answers: topics.flat() };
}
