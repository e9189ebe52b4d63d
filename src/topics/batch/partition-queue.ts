import type { TopicPartition } from '../port.ts';
import type { BufferPool } from './buffer-pool.ts';
import { RecordBatch } from './record-batch.ts';

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

/** The batch that takes so many more bytes: a record that is too large has one for itself. */
export function batchFor(
  { batches }: PartitionQueue,
  bytes: number,
  pool: BufferPool | null,
): RecordBatch {
  const last = batches[batches.length - 1];
  if (last !== undefined && last.bytes + bytes + MARGIN_BYTES <= BATCH_BYTES_MAX) return last;
  const batch = new RecordBatch(pool);
  batches.push(batch);
  return batch;
}

/** Takes off its last records, which it returns. */
export function cutQueue({ batches }: PartitionQueue, records: number): RecordBatch[] {
  const cut: RecordBatch[] = [];
  for (let left = records; left > 0;) {
    const last = batches.pop();
    if (last === undefined) throw new RangeError('there are not so many records');
    if (last.count > left) batches.push(last);
    const part = last.count > left ? last.cut(last.count - left) : last;
    cut.unshift(part);
    left -= part.count;
  }
  return cut;
}

/** A time in ms, or now where it is too far ahead of that. */
export const clampedTime = (ms: number, nowMs: number): number =>
  ms - nowMs > AHEAD_MS_MAX ? nowMs : ms;

/**
 * Clamps the times of the first batch anew, as `push` does: this machine's clock has been set back
 * since. Whether one of them was too far ahead.
 */
export function clampFirst(queue: PartitionQueue, nowMs: number): boolean {
  const batch = queue.batches[0]?.withTimesUpTo(nowMs + AHEAD_MS_MAX, nowMs) ?? null;
  if (batch !== null) queue.batches[0] = batch;
  return batch !== null;
}
