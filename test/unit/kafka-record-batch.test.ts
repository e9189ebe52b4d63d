import { promisify } from 'node:util';
import { crc32, gzip } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32 as crc32Short, crc32c, wordsOf } from '../../src/crc.ts';
import { encodeHeaders } from '../../src/topics/batch/headers.ts';
import { BATCH_HEADER_BYTES, RecordBatch } from '../../src/topics/batch/record-batch.ts';
import { VarintReader, varintBytes, writeVarint } from '../../src/topics/batch/varint.ts';
import { decodeWithKafkajs, readWhole } from '../support/kafkajs-decoder.ts';

const STAMP = { id: 7n, epoch: 3, sequence: 11 };
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;

const bytes = fc.uint8Array({ maxLength: 300 });
const record = fc.record({
  key: fc.oneof(fc.constant(null), bytes),
  value: fc.oneof(fc.constant(null), bytes, fc.string({ unit: 'binary' })),
  timestampMs: fc.integer({ min: 0, max: 8_640_000_000_000_000 / 2 }),
  // With a prefix: kafkajs takes `toString` for a name that was there before.
  headers: fc
    .array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), {
      maxLength: 4,
    })
    .map((pairs) => Object.fromEntries(pairs.map(([name, value]) => [`h-${name}`, value]))),
});
type Record = typeof record extends fc.Arbitrary<infer T> ? T : never;

function pushAll(batch: RecordBatch, records: readonly Record[]): RecordBatch {
  for (const { key, value, timestampMs, headers } of records) {
    batch.push(key, key?.length ?? 0, value, timestampMs, encodeHeaders(headers));
  }
  return batch;
}

const bufferOf = (value: string | Uint8Array | null): Buffer | null =>
  value === null ? null : Buffer.from(value as string);

const expected = (records: readonly Record[]) =>
  records.map(({ key, value, timestampMs, headers }, i) => ({
    offset: String(i),
    key: bufferOf(key),
    value: bufferOf(value),
    timestamp: String(timestampMs),
    headers: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, Buffer.from(v)])),
  }));

const seen = async (batch: RecordBatch) =>
  (await decodeWithKafkajs(batch.seal(STAMP))).map(
    ({ offset, key, value, timestamp, headers }) => ({
      offset,
      key,
      value,
      timestamp,
      headers,
    }),
  );

describe('a checksum', () => {
  // RFC 3720, B.4; and "123456789", the vector of every catalogue.
  it.each([
    [Buffer.from('123456789'), 0xe3069283],
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    [Buffer.alloc(0), 0],
  ])('is that of the standard', (data, crc) => {
    expect(crc32c(wordsOf(data), 0, data.length)).toBe(crc);
  });

  it('of a part is that of its bytes, at every alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(40), fc.nat(40), (data, from, back) => {
        const start = Math.min(from, data.length);
        const end = Math.max(start, data.length - back);
        const words = wordsOf(data);
        expect(crc32c(words, start, end)).toBe(bitwise(data.subarray(start, end)));
        expect(crc32Short(words, start, end)).toBe(crc32(data.subarray(start, end)));
      }),
    );
    expect(crc32c(wordsOf(Buffer.from('a')), 0, 1)).not.toBe(crc32('a'));
  });
});

/** The definition, a bit at a time. */
function bitwise(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  return ~crc >>> 0;
}

describe('a number of variable length', () => {
  it('is read as it was written, in as many bytes as it said', () => {
    const limit = 2 ** 52;
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeNat(), fc.integer()), (n) => {
        for (const number of [n % limit, -(n % limit), limit, -limit]) {
          const to = Buffer.alloc(10);
          const end = writeVarint(to, 0, number);
          expect(end).toBe(varintBytes(number));
          expect(new VarintReader(to, 0).next() === number).toBe(true);
        }
      }),
    );
  });

  it.each([2 ** 52 + 2, 0.5, Number.NaN])('is refused where it is %s', (n) => {
    expect(() => varintBytes(n)).toThrow(RangeError);
  });

  it('without an end is an error, not a number', () => {
    expect(() => new VarintReader(Buffer.alloc(20, 0x80), 0).next()).toThrow(RangeError);
    expect(() => new VarintReader(Buffer.from([0x80]), 0).next()).toThrow(RangeError);
  });
});

describe('a record batch', () => {
  it('is read by kafkajs as it was pushed, whatever its keys, values, times and headers', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 70 }), async (records) => {
        const batch = pushAll(new RecordBatch(), records);
        expect(await seen(batch)).toEqual(expected(records));
        const sealed = batch.seal(STAMP);
        expect(sealed).toHaveLength(batch.bytes);
        expect(sealed.readUInt32BE(CRC_AT)).toBe(bitwise(sealed.subarray(ATTRIBUTES_AT)));
      }),
      { numRuns: 30 },
    );
  });

  it('forgets what is cut off, and goes on as if it never had been', async () => {
    const some = fc.array(record, { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(some, some, some, async (before, dropped, after) => {
        const batch = pushAll(new RecordBatch(), [...before, ...dropped]);
        const cut = batch.cut(before.length);
        pushAll(batch, after);
        const straight = pushAll(new RecordBatch(), [...before, ...after]);
        expect(batch.seal(STAMP).equals(straight.seal(STAMP))).toBe(true);
        expect(await seen(cut)).toEqual(expected(dropped));
      }),
      { numRuns: 30 },
    );
  });

  it('is sealed anew each time, and keeps nothing of the time before', () => {
    const batch = pushAll(new RecordBatch(), fc.sample(record, 5));
    const first = Buffer.from(batch.seal(STAMP));
    expect(batch.seal({ ...STAMP, sequence: 99 }).equals(first)).toBe(false);
    expect(batch.seal(STAMP).equals(first)).toBe(true);
  });

  it('is split into two that hold the same, in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 2, maxLength: 60 }), async (records) => {
        const [first, second] = pushAll(new RecordBatch(), records).split()!;
        const half = Math.ceil(records.length / 2);
        expect(await seen(first)).toEqual(expected(records.slice(0, half)));
        expect(await seen(second)).toEqual(expected(records.slice(half)));
      }),
      { numRuns: 20 },
    );
    expect(pushAll(new RecordBatch(), fc.sample(record, 1)).split()).toBeNull();
  });

  it('is read compressed as it was pushed', async () => {
    const records = fc.sample(record, 50);
    const batch = pushAll(new RecordBatch(), records);
    const compressed = { codec: 1, bytes: await promisify(gzip)(batch.records) };
    const decoded = await decodeWithKafkajs(batch.seal(STAMP, compressed));
    expect(decoded.map(({ value }) => value)).toEqual(records.map(({ value }) => bufferOf(value)));
  });

  it('takes no time that is no whole millisecond from 1970 on', () => {
    const batch = new RecordBatch();
    for (const ms of [-1, 0.5, Number.NaN, 2 ** 60]) {
      expect(() => batch.push(null, 0, '', ms, encodeHeaders({}))).toThrow(RangeError);
    }
    expect(batch.bytes).toBe(BATCH_HEADER_BYTES);
  });

  // Guards clampFirst: brokers refuse times that are ahead of theirs, whenever they were written.
  it('has no time after the latest that is allowed, and is otherwise the same', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100), { minLength: 1 }), fc.nat(100), (times, latestMs) => {
        const batch = new RecordBatch();
        const headers = encodeHeaders({ position: '1' });
        for (const [i, ms] of times.entries()) {
          batch.push(Buffer.from('k'), 1, `${i}`, ms, headers);
        }
        const other = batch.withTimesUpTo(latestMs, 7);
        expect(other === null).toBe(times.every((ms) => ms <= latestMs));
        const expected = times.map((ms, i) => [`${i}`, ms > latestMs ? 7 : ms]);
        const records = [...(other ?? batch)];
        expect(
          records.map(({ value, timestampMs }) => [
            Buffer.from(value ?? []).toString(),
            timestampMs,
          ]),
        ).toEqual(expected);
      }),
    );
  });
});

describe('the batches of an answer', () => {
  const IS_TRANSACTIONAL = 0x10;
  const IS_CONTROL = 0x20;

  /** A batch as it lies in a log. */
  function stored(baseOffset: number, values: string[], attributes = 0, producerId = -1n): Buffer {
    const batch = new RecordBatch();
    for (const value of values) {
      const key = Buffer.from('k');
      batch.push(key, 1, value, 1_000, encodeHeaders({}));
    }
    const sealed = Buffer.from(batch.seal({ id: producerId, epoch: 0, sequence: 0 }));
    sealed.writeBigInt64BE(BigInt(baseOffset), 0);
    sealed.writeInt16BE(attributes, ATTRIBUTES_AT);
    return sealed;
  }

  function marker(offset: number, producerId: bigint, isAbort: boolean): Buffer {
    const batch = new RecordBatch();
    const key = Buffer.from([0, 0, 0, isAbort ? 0 : 1]);
    batch.push(key, 4, Buffer.alloc(6), 1_000, encodeHeaders({}));
    const sealed = Buffer.from(batch.seal({ id: producerId, epoch: 0, sequence: -1 }));
    sealed.writeBigInt64BE(BigInt(offset), 0);
    sealed.writeInt16BE(IS_TRANSACTIONAL | IS_CONTROL, ATTRIBUTES_AT);
    return sealed;
  }

  it('tell by themselves where the partition goes on, also where nothing of them is left', async () => {
    const compacted = stored(10, ['a', 'b', 'c']);
    compacted.writeInt32BE(9, 23); // The last of ten, of which three are left.
    const all = Buffer.concat([compacted, stored(20, ['d'])]);
    const read = await readWhole(all);
    expect(read.map(({ nextOffset }) => nextOffset)).toEqual([20, 21]);
    expect(read.flatMap(({ messages }) => messages.map(({ value }) => value))).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  it('are read without the last one where it was cut, at every byte', async () => {
    const first = stored(0, ['a']);
    const all = Buffer.concat([first, stored(1, ['b'])]);
    for (let cut = 0; cut < all.length; cut++) {
      const read = await readWhole(all.subarray(0, cut));
      expect(read).toHaveLength(cut >= first.length ? 1 : 0);
    }
  });

  it('pass over what was rolled back and over markers, and nothing else', async () => {
    const all = Buffer.concat([
      stored(0, ['rolled back'], IS_TRANSACTIONAL, 5n),
      stored(1, ['plain']),
      stored(2, ['of another'], IS_TRANSACTIONAL, 6n),
      marker(3, 5n, true),
      marker(4, 6n, false),
      stored(5, ['committed'], IS_TRANSACTIONAL, 5n),
      marker(6, 5n, false),
    ]);
    const read = await readWhole(all, [{ producerId: 5n, firstOffset: 0 }]);
    expect(read.map(({ nextOffset }) => nextOffset)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(read.flatMap(({ messages }) => messages.map(({ value }) => value))).toEqual([
      'plain',
      'of another',
      'committed',
    ]);
  });
});
