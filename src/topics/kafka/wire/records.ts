import type { ReceivedMessage } from '../../port.ts';
import { receivedMessage } from '../received.ts';
import type { FetchAnswer } from './brokers.ts';
import type { DecodedRecord, Inside } from './inside.ts';

/** Offset and length, then what the length counts. */
const FRAME_BYTES = 12;
const LEADER_EPOCH_AND_MAGIC_BYTES = 5;
const MAGIC_AT = 16;
const BATCH_MAGIC = 2;
const IS_TRANSACTIONAL = 0x10;
const IS_CONTROL = 0x20;
/** A marker's key: version, then this for a transaction that was rolled back. */
const ABORT_MARKER = 0;

/** One batch of an answer. */
export interface ReadBatch {
  /** Where the partition goes on after it, whatever of it is left. */
  nextOffset: number;
  messages: ReceivedMessage[];
}

interface Header {
  nextOffset: number;
  end: number;
  producerId: bigint;
  isTransactional: boolean;
  isControl: boolean;
}

/**
 * The messages of an answer, batch by batch: one batch is unpacked at a time. Markers of
 * transactions, and what was rolled back, are passed over; a batch that was cut is left out. It may
 * begin before the offset that was asked for. @throws what the codec of a batch throws.
 */
export async function* readBatches(inside: Inside, answer: FetchAnswer): AsyncGenerator<ReadBatch> {
  const { topic, partition, records } = answer;
  const aborted = answer.aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  const rolledBack = new Set<bigint>();
  const received = (all: DecodedRecord[]) =>
    all.map((record) => receivedMessage({ topic, partition }, record));
  for (let at = 0; at + MAGIC_AT < records.length;) {
    if (records.readInt8(at + MAGIC_AT) < BATCH_MAGIC) {
      const messages = received(await messageSet(inside, records.subarray(at)));
      const last = messages.at(-1);
      if (last !== undefined) yield { nextOffset: last.offset + 1, messages };
      return;
    }
    const header = headerAt(records, at);
    if (header === null) return;
    const { nextOffset, end, producerId, isTransactional, isControl } = header;
    while (aborted[0] !== undefined && aborted[0].firstOffset < nextOffset) {
      rolledBack.add(aborted[0].producerId);
      aborted.shift();
    }
    const bytes = records.subarray(at, end);
    at = end;
    if (isControl) {
      const [marker] = (await inside.decodeBatch(new inside.Decoder(bytes))).records;
      if (marker?.key?.readInt16BE(2) === ABORT_MARKER) rolledBack.delete(producerId);
      yield { nextOffset, messages: [] };
    } else if (isTransactional && rolledBack.has(producerId)) {
      yield { nextOffset, messages: [] };
    } else {
      const { records: all } = await inside.decodeBatch(new inside.Decoder(bytes));
      yield { nextOffset, messages: received(all) };
    }
  }
}

/** null where the batch does not end in these bytes. */
function headerAt(records: Buffer, at: number): Header | null {
  if (at + FRAME_BYTES > records.length) return null;
  const end = at + FRAME_BYTES + records.readInt32BE(at + 8);
  if (end > records.length || end < at + FRAME_BYTES + LEADER_EPOCH_AND_MAGIC_BYTES) return null;
  const attributes = records.readInt16BE(at + 21);
  return {
    nextOffset: Number(records.readBigInt64BE(at)) + records.readInt32BE(at + 23) + 1,
    end,
    producerId: records.readBigInt64BE(at + 43),
    isTransactional: (attributes & IS_TRANSACTIONAL) !== 0,
    isControl: (attributes & IS_CONTROL) !== 0,
  };
}

/** What a topic of before Kafka 0.11 holds. */
async function messageSet(inside: Inside, bytes: Buffer): Promise<DecodedRecord[]> {
  return await inside.decodeMessageSet(new inside.Decoder(bytes), bytes.length);
}
