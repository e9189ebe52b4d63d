import { crc32c } from './crc32c.ts';
import { VarintReader, varintBytes, writeVarint } from './varint.ts';

/** Up to the first record (kafka.apache.org/documentation, "Record Batch"). */
export const BATCH_HEADER_BYTES = 61;
const MAGIC = 2;
const INITIAL_BYTES = 4 * 1024;
/** The checksum covers what comes after it: from the attributes on. */
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const NO_LEADER_EPOCH = -1;
/** Base offset and length: what the length doesn't count. */
const UNCOUNTED_BYTES = 12;

/** Who sends a batch, and the number of its first record in the partition: no repeat gets in. */
export interface ProducerStamp {
  id: bigint;
  epoch: number;
  sequence: number;
}

/** Compressed records, with the codec's number in Kafka's protocol (1 gzip, 4 zstd). */
export interface CompressedRecords {
  codec: number;
  bytes: Uint8Array;
}

/** One record where it lies: views of the batch's bytes. */
export interface RecordView {
  key: Uint8Array | null;
  value: Uint8Array | null;
  /** As `encodeHeaders` made them. */
  headers: Uint8Array;
  timestampMs: number;
}

/** A place in a batch to come back to. */
export interface BatchMark {
  end: number;
  count: number;
  baseTimestampMs: number;
  maxTimestampMs: number;
}

/** A record's headers as they stand in it: once for the many records that share them. */
export function encodeHeaders(headers: Readonly<Record<string, string>>): Uint8Array {
  const texts = Object.entries(headers).flat();
  const sizes = texts.map((text) => Buffer.byteLength(text));
  const size = sizes.reduce((sum, bytes) => sum + varintBytes(bytes) + bytes, 0);
  const encoded = Buffer.alloc(varintBytes(texts.length / 2) + size);
  let at = writeVarint(encoded, 0, texts.length / 2);
  for (const [i, text] of texts.entries()) {
    at = writeVarint(encoded, at, sizes[i] ?? 0);
    at += encoded.write(text, at);
  }
  return encoded;
}

/**
 * Kafka's RecordBatch (version 2) of one partition, written straight into one growing buffer.
 *
 * Invariant: from the header to `bytes` there are `count` whole records, numbered from 0, their
 * times counted from the first one's. Header and checksum are written by `seal`, anew each time.
 * The bytes that `seal` returns are the batch's own where nothing is compressed: no record may be
 * pushed before the broker has answered.
 */
export class RecordBatch {
  #buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #end = BATCH_HEADER_BYTES;
  #count = 0;
  #baseTimestampMs = 0;
  #maxTimestampMs = 0;

  /** Records in it. */
  get count(): number {
    return this.#count;
  }

  /** Its size without compression, with the header. */
  get bytes(): number {
    return this.#end;
  }

  /** The records' bytes, for a codec. A view. */
  get records(): Uint8Array {
    return this.#buffer.subarray(BATCH_HEADER_BYTES, this.#end);
  }

  /**
   * Appends a record. Of `key` the first `keyBytes` count, so that one buffer serves for all keys;
   * null is a record without a key or value. `headers` are those of `encodeHeaders`.
   * @throws RangeError for a time that is no whole number of milliseconds from 1970 on.
   */
  push(
    key: Uint8Array | null,
    keyBytes: number,
    value: string | Uint8Array | null,
    timestampMs: number,
    headers: Uint8Array,
  ): void {
    if (!Number.isSafeInteger(timestampMs) || timestampMs < 0) {
      throw new RangeError(`a record's time of ${timestampMs} ms`);
    }
    const isFirst = this.#count === 0;
    const delta = isFirst ? 0 : timestampMs - this.#baseTimestampMs;
    const keyLength = key === null ? -1 : keyBytes;
    const valueLength = lengthOf(value);
    const size =
      1 +
      varintBytes(delta) +
      varintBytes(this.#count) +
      varintBytes(keyLength) +
      Math.max(keyLength, 0) +
      varintBytes(valueLength) +
      Math.max(valueLength, 0) +
      headers.length;
    this.#reserve(varintBytes(size) + size);
    const to = this.#buffer;
    let at = writeVarint(to, this.#end, size);
    to[at] = 0; // Attributes: none are defined.
    at = writeVarint(to, at + 1, delta);
    at = writeVarint(to, at, this.#count);
    at = writeVarint(to, at, keyLength);
    if (key !== null) for (let i = 0; i < keyBytes; i++) to[at++] = key[i] ?? 0;
    at = writeVarint(to, at, valueLength);
    if (typeof value === 'string') at += to.write(value, at);
    else if (value !== null) {
      to.set(value, at);
      at += value.length;
    }
    to.set(headers, at);
    this.#end = at + headers.length;
    if (isFirst) this.#baseTimestampMs = timestampMs;
    this.#maxTimestampMs = isFirst ? timestampMs : Math.max(this.#maxTimestampMs, timestampMs);
    this.#count += 1;
  }

  mark(): BatchMark {
    return {
      end: this.#end,
      count: this.#count,
      baseTimestampMs: this.#baseTimestampMs,
      maxTimestampMs: this.#maxTimestampMs,
    };
  }

  /** Takes back what was pushed since `mark`. */
  truncate(mark: BatchMark): void {
    if (mark.count > this.#count) throw new RangeError('a mark that lies after the end');
    this.#end = mark.end;
    this.#count = mark.count;
    this.#baseTimestampMs = mark.baseTimestampMs;
    this.#maxTimestampMs = mark.maxTimestampMs;
  }

  /** The bytes to send. `compressed` are this batch's `records` after a codec. */
  seal(stamp: ProducerStamp, compressed: CompressedRecords | null = null): Buffer {
    const all = compressed === null ? this.#buffer.subarray(0, this.#end) : wrap(compressed.bytes);
    all.writeBigInt64BE(0n, 0);
    all.writeInt32BE(all.length - UNCOUNTED_BYTES, 8);
    all.writeInt32BE(NO_LEADER_EPOCH, 12);
    all.writeInt8(MAGIC, 16);
    all.writeInt16BE(compressed?.codec ?? 0, ATTRIBUTES_AT);
    all.writeInt32BE(this.#count - 1, 23);
    all.writeBigInt64BE(BigInt(this.#baseTimestampMs), 27);
    all.writeBigInt64BE(BigInt(this.#maxTimestampMs), 35);
    all.writeBigInt64BE(stamp.id, 43);
    all.writeInt16BE(stamp.epoch, 51);
    all.writeInt32BE(stamp.sequence, 53);
    all.writeInt32BE(this.#count, 57);
    all.writeUInt32BE(crc32c(all, ATTRIBUTES_AT), CRC_AT);
    return all;
  }

  /** Its records, in order, where they lie. */
  *[Symbol.iterator](): Generator<RecordView> {
    const reader = new VarintReader(this.#buffer, BATCH_HEADER_BYTES);
    for (let i = 0; i < this.#count; i++) {
      const size = reader.next();
      const end = reader.at + size;
      reader.at += 1;
      const timestampMs = this.#baseTimestampMs + reader.next();
      reader.next();
      const key = reader.bytes(reader.next());
      const value = reader.bytes(reader.next());
      const headers = reader.bytes(end - reader.at) ?? new Uint8Array();
      yield { key, value, headers, timestampMs };
    }
  }

  /** The same records in two batches, in order; null where there are not two. */
  split(): [RecordBatch, RecordBatch] | null {
    if (this.#count < 2) return null;
    const halves: [RecordBatch, RecordBatch] = [new RecordBatch(), new RecordBatch()];
    let index = 0;
    for (const record of this) {
      halves[index < this.#count / 2 ? 0 : 1].copy(record);
      index += 1;
    }
    return halves;
  }

  /** The same records with no time after `latestMs`: those that are get `insteadMs`. null: none is. */
  withTimesUpTo(latestMs: number, insteadMs: number): RecordBatch | null {
    if (this.#maxTimestampMs <= latestMs) return null;
    const other = new RecordBatch();
    for (const record of this) {
      const timestampMs = record.timestampMs > latestMs ? insteadMs : record.timestampMs;
      other.copy({ ...record, timestampMs });
    }
    return other;
  }

  /** Appends another batch's record. */
  copy({ key, value, headers, timestampMs }: RecordView): void {
    this.push(key, key?.length ?? 0, value, timestampMs, headers);
  }

  #reserve(bytes: number): void {
    const needed = this.#end + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }
}

function lengthOf(value: string | Uint8Array | null): number {
  if (value === null) return -1;
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

function wrap(records: Uint8Array): Buffer {
  const all = Buffer.allocUnsafe(BATCH_HEADER_BYTES + records.length);
  all.set(records, BATCH_HEADER_BYTES);
  return all;
}
