import { crc32c, wordsOf } from '../../crc.ts';
import type { ValueWriter } from '../port.ts';
import type { BufferPool } from './buffer-pool.ts';
import { VARINT_BYTES_MAX, VarintReader, varintBytes, writeVarint } from './varint.ts';

/** Up to the first record (kafka.apache.org/documentation, "Record Batch"). */
export const BATCH_HEADER_BYTES = 61;
const MAGIC = 2;
const INITIAL_BYTES = 4 * 1024;
const NO_BYTES = Buffer.alloc(0);
/** The checksum covers what comes after it: from the attributes on. */
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const NO_LEADER_EPOCH = -1;
/** Base offset and length: what the length doesn't count. */
export const UNCOUNTED_BYTES = 12;
/** Of the lengths of nearly every record and value. */
const USUAL_LENGTH_BYTES = 2;
/** Of a record, beside key, value and headers: the attributes and five varints. */
const HEAD_BYTES_MAX = 1 + 5 * VARINT_BYTES_MAX;

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
  key: Buffer | null;
  value: Buffer | null;
  /** As `encodeHeaders` made them. */
  headers: Buffer;
  timestampMs: number;
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
  readonly #pool: BufferPool | null;
  #buffer: Buffer = Buffer.allocUnsafe(BATCH_HEADER_BYTES);
  #end = BATCH_HEADER_BYTES;
  #count = 0;
  #baseTimestampMs = 0;
  #maxTimestampMs = 0;

  /** `pool`: where its buffers come from, and go to when it is released; null: from nowhere. */
  constructor(pool: BufferPool | null = null) {
    this.#pool = pool;
  }

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
    const delta = this.#deltaOf(timestampMs);
    const keyLength = key === null ? -1 : keyBytes;
    const valueLength = lengthOf(value);
    const size =
      this.#headBytes(delta, keyLength) +
      varintBytes(valueLength) +
      Math.max(valueLength, 0) +
      headers.length;
    this.#reserve(varintBytes(size) + size);
    const to = this.#buffer;
    let at = this.#writeHead(writeVarint(to, this.#end, size), delta, key, keyLength);
    at = writeVarint(to, at, valueLength);
    if (typeof value === 'string') at += to.write(value, at);
    else if (value !== null) {
      to.set(value, at);
      at += value.length;
    }
    this.#close(at, headers, timestampMs);
  }

  /** The same with a value that is written in place, in at most `bytesMax`. */
  pushWritten(
    key: Uint8Array,
    keyBytes: number,
    value: ValueWriter,
    bytesMax: number,
    timestampMs: number,
    headers: Uint8Array,
  ): void {
    const delta = this.#deltaOf(timestampMs);
    this.#reserve(keyBytes + bytesMax + headers.length + HEAD_BYTES_MAX);
    const to = this.#buffer;
    const start = this.#end + USUAL_LENGTH_BYTES;
    const headEnd = this.#writeHead(start, delta, key, keyBytes);
    const from = headEnd + USUAL_LENGTH_BYTES;
    const end = value.write(to, from);
    const size = end - start + headers.length;
    if (!isUsual(end - from) || !isUsual(size)) {
      return this.push(key, keyBytes, Buffer.from(to.subarray(from, end)), timestampMs, headers);
    }
    writeVarint(to, this.#end, size);
    writeVarint(to, headEnd, end - from);
    this.#close(end, headers, timestampMs);
  }

  /** How far a time is from the first record's. */
  #deltaOf(timestampMs: number): number {
    if (!Number.isSafeInteger(timestampMs) || timestampMs < 0) {
      throw new RangeError(`a record's time of ${timestampMs} ms`);
    }
    return this.#count === 0 ? 0 : timestampMs - this.#baseTimestampMs;
  }

  /** From the attributes to the key. */
  #headBytes(delta: number, keyLength: number): number {
    return (
      1 +
      varintBytes(delta) +
      varintBytes(this.#count) +
      varintBytes(keyLength) +
      Math.max(keyLength, 0)
    );
  }

  /** From the attributes to the key; the room must be there. Returns where it ends. */
  #writeHead(from: number, delta: number, key: Uint8Array | null, keyLength: number): number {
    const to = this.#buffer;
    to[from] = 0; // Attributes: none are defined.
    let at = writeVarint(to, from + 1, delta);
    at = writeVarint(to, at, this.#count);
    at = writeVarint(to, at, keyLength);
    if (key !== null) for (let i = 0; i < keyLength; i++) to[at++] = key[i] ?? 0;
    return at;
  }

  #close(at: number, headers: Uint8Array, timestampMs: number): void {
    this.#buffer.set(headers, at);
    this.#end = at + headers.length;
    if (this.#count === 0) this.#baseTimestampMs = this.#maxTimestampMs = timestampMs;
    else if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs;
    this.#count += 1;
  }

  /** Takes off all but the first `count` records, which it returns in a batch of their own. */
  cut(count: number): RecordBatch {
    const reader = new VarintReader(this.#buffer, BATCH_HEADER_BYTES);
    let maxTimestampMs = 0;
    for (let i = 0; i < count; i++) {
      const size = reader.next();
      const end = reader.at + size;
      reader.at += 1;
      maxTimestampMs = Math.max(maxTimestampMs, this.#baseTimestampMs + reader.next());
      reader.at = end;
    }
    const end = reader.at;
    const rest = new RecordBatch();
    for (const record of this.#read(reader, this.#count - count)) rest.copy(record);
    this.#end = end;
    this.#count = count;
    this.#maxTimestampMs = maxTimestampMs;
    if (count === 0) this.#baseTimestampMs = 0;
    return rest;
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
    all.writeUInt32BE(crc32c(wordsOf(all), ATTRIBUTES_AT, all.length), CRC_AT);
    return all;
  }

  /** Its records, in order, where they lie. */
  [Symbol.iterator](): Generator<RecordView> {
    return this.#read(new VarintReader(this.#buffer, BATCH_HEADER_BYTES), this.#count);
  }

  /** So many records from where the reader is. */
  *#read(reader: VarintReader, count: number): Generator<RecordView> {
    for (let i = 0; i < count; i++) {
      const size = reader.next();
      const end = reader.at + size;
      reader.at += 1;
      const timestampMs = this.#baseTimestampMs + reader.next();
      reader.next();
      const key = reader.bytes(reader.next());
      const value = reader.bytes(reader.next());
      const headers = reader.bytes(end - reader.at) ?? Buffer.alloc(0);
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

  #reserve(records: number): void {
    const needed = this.#end + records;
    if (needed <= this.#buffer.length) return;
    const before = this.#buffer;
    const bytes = Math.max(needed, before.length * 2, INITIAL_BYTES);
    this.#buffer = this.#pool?.take(bytes) ?? Buffer.allocUnsafeSlow(bytes);
    before.copy(this.#buffer, 0, 0, this.#end);
    this.#pool?.giveBack(before);
  }

  /** Its bytes are wanted no more: a broker has answered for them, or they are in a file. */
  release(): void {
    this.#pool?.giveBack(this.#buffer);
    this.#buffer = NO_BYTES;
    this.#end = BATCH_HEADER_BYTES;
    this.#count = 0;
  }
}

/** Whether a length takes USUAL_LENGTH_BYTES. */
const isUsual = (length: number): boolean => length >= 64 && length < 8192;

function lengthOf(value: string | Uint8Array | null): number {
  if (value === null) return -1;
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

function wrap(records: Uint8Array): Buffer {
  const all = Buffer.allocUnsafe(BATCH_HEADER_BYTES + records.length);
  all.set(records, BATCH_HEADER_BYTES);
  return all;
}
