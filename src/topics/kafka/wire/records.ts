import { BATCH_HEADER_BYTES, UNCOUNTED_BYTES } from '../../batch/record-batch.ts';
import { VarintReader } from '../../batch/varint.ts';
import type { ReceivedMessage } from '../../port.ts';
import type { FetchAnswer } from './brokers.ts';
import type { Inside } from './inside.ts';
import { type BatchBase, recordsOf } from './record.ts';
import { oldMessages } from './old-messages.ts';

const MAGIC_AT = 16;
const BATCH_MAGIC = 2;
const IS_LOG_APPEND_TIME = 0x8;
const IS_TRANSACTIONAL = 0x10;
const IS_CONTROL = 0x20;
/** A marker's key: version, then this for a transaction that was rolled back. */
const ABORT_MARKER = 0;

const NONE = (): ReceivedMessage[] => [];

/** One batch of an answer. */
export interface ReadBatch {
  /** Where it begins, and where the partition goes on after it, whatever of it is left. */
  firstOffset: number;
  nextOffset: number;
  /** Whether nothing in it is for anybody. */
  isEmpty: boolean;
  /** Made when they are asked for: of an answer of many megabytes, one part at a time. */
  messages: () => ReceivedMessage[];
}

interface Header extends BatchBase {
  nextOffset: number;
  end: number;
  /** The codec, where it is compressed. */
  attributes: number;
  producerId: bigint;
  isTransactional: boolean;
  isControl: boolean;
}

/**
 * The messages of an answer, batch by batch: one batch is unpacked at a time. Markers of
 * transactions, and what was rolled back, are passed over; a batch that was cut is left out. It may
 * begin before the offset that was asked for. @throws what the codec of a batch throws; its messages,
 * a RangeError where there are none in its bytes.
 */
export async function* readBatches(inside: Inside, answer: FetchAnswer): AsyncGenerator<ReadBatch> {
  const { records } = answer;
  const aborted = answer.aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  const rolledBack = new Set<bigint>();
  for (let at = 0; at + MAGIC_AT < records.length;) {
    if (records.readInt8(at + MAGIC_AT) < BATCH_MAGIC) {
      const messages = await oldMessages(inside, answer, records.subarray(at));
      const last = messages.at(-1);
      const firstOffset = messages[0]?.offset ?? 0;
      if (last === undefined) return;
      yield {
        firstOffset,
        nextOffset: last.offset + 1,
        isEmpty: false,
        messages: () => messages,
      };
      return;
    }
    const header = headerAt(answer, at);
    if (header === null) return;
    const { firstOffset, nextOffset, end, producerId, isTransactional, isControl } = header;
    while (aborted[0] !== undefined && aborted[0].firstOffset < nextOffset) {
      rolledBack.add(aborted[0].producerId);
      aborted.shift();
    }
    const bytes = records.subarray(at + BATCH_HEADER_BYTES, end);
    at = end;
    if (isControl) {
      if (isAbort(bytes)) rolledBack.delete(producerId);
      yield { firstOffset, nextOffset, isEmpty: true, messages: NONE };
    } else if (isTransactional && rolledBack.has(producerId)) {
      yield { firstOffset, nextOffset, isEmpty: true, messages: NONE };
    } else {
      const codec = inside.codecOf(header.attributes);
      const unpacked = codec === null ? bytes : await codec.decompress(bytes);
      const messages = (): ReceivedMessage[] => recordsOf(header, unpacked);
      yield { firstOffset, nextOffset, isEmpty: header.count === 0, messages };
    }
  }
}

/** Whether a marker says that its transaction was rolled back. */
function isAbort(bytes: Buffer): boolean {
  const reader = new VarintReader(bytes, 0);
  reader.next(); // Length.
  reader.at += 1; // Attributes.
  reader.next(); // Time.
  reader.next(); // Offset.
  return reader.bytes(reader.next())?.readInt16BE(2) === ABORT_MARKER;
}

/** null where the batch does not end in these bytes. */
function headerAt({ topic, partition, records }: FetchAnswer, at: number): Header | null {
  if (at + BATCH_HEADER_BYTES > records.length) return null;
  const end = at + UNCOUNTED_BYTES + records.readInt32BE(at + 8);
  if (end > records.length || end < at + BATCH_HEADER_BYTES) return null;
  const attributes = records.readInt16BE(at + 21);
  const firstOffset = Number(records.readBigInt64BE(at));
  const isAppended = (attributes & IS_LOG_APPEND_TIME) !== 0;
  return {
    topic,
    partition,
    firstOffset,
    nextOffset: firstOffset + records.readInt32BE(at + 23) + 1,
    firstTimestampMs: Number(records.readBigInt64BE(at + 27)),
    appendedMs: isAppended ? Number(records.readBigInt64BE(at + 35)) : null,
    count: records.readInt32BE(at + 57),
    end,
    attributes,
    producerId: records.readBigInt64BE(at + 43),
    isTransactional: (attributes & IS_TRANSACTIONAL) !== 0,
    isControl: (attributes & IS_CONTROL) !== 0,
  };
}
