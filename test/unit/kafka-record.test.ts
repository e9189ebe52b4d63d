import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VARINT_BYTES_MAX, VarintReader, writeVarint } from '../../src/topics/batch/varint.ts';
import { RecordBatch } from '../../src/topics/batch/record-batch.ts';
import { type DecodedRecord, decodeWithKafkajs, readWhole } from '../support/kafkajs-decoder.ts';

const ATTRIBUTES_AT = 21;
const MAX_TIMESTAMP_AT = 35;
const COUNT_AT = 57;
const IS_LOG_APPEND_TIME = 0x8;
const NONE = { id: -1n, epoch: 0, sequence: -1 };

type Header = readonly [name: string, value: Buffer | null];

/** As others may write them: a name twice, a value that is null. */
function headersOf(headers: readonly Header[]): Buffer {
  const size = headers.reduce(
    (sum, [name, value]) => sum + name.length * 3 + (value?.length ?? 0) + 20,
    20,
  );
  const to = Buffer.alloc(size);
  let at = writeVarint(to, 0, headers.length);
  for (const [name, value] of headers) {
    const from = writeVarint(to, at, Buffer.byteLength(name));
    at = from + to.write(name, from);
    at = writeVarint(to, at, value?.length ?? -1);
    if (value !== null) at += value.copy(to, at);
  }
  return to.subarray(0, at);
}

const bytes = fc.uint8Array({ maxLength: 200 }).map((all) => Buffer.from(all));
const orNull = fc.option(bytes, { nil: null });
const record = fc.record({
  key: orNull,
  value: orNull,
  timestampMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  headers: fc.array(
    fc.tuple(fc.constantFrom('schema', 'position', '', 'é', 'log_position'), orNull),
    { maxLength: 5 },
  ),
});

/** What the port says of a record as kafkajs decodes it: texts, and of many values the first. */
function asPort({ offset, timestamp, key, value, headers }: DecodedRecord) {
  const first = Object.entries(headers).map(([name, all]): [string, unknown] => {
    const some = Array.isArray(all) ? all.find((one) => one !== null) : all;
    return [name, some ?? null];
  });
  return {
    offset: Number(offset),
    timestampMs: Number(timestamp),
    key: key?.toString('utf8') ?? null,
    value: value?.toString('utf8') ?? null,
    headers: Object.fromEntries(
      first.filter(([, one]) => one !== null).map(([name, one]) => [name, String(one)]),
    ),
  };
}

async function readPort(sealed: Buffer) {
  const read = await readWhole(sealed);
  return read
    .flatMap(({ messages }) => messages)
    .map(({ offset, timestampMs, key, value, headers }) => {
      return { offset, timestampMs, key, value, headers };
    });
}

interface Record {
  key: Buffer | null;
  value: Buffer | null;
  timestampMs: number;
  headers: readonly Header[];
}

function sealed(records: readonly Record[]): Buffer {
  const batch = new RecordBatch();
  for (const { key, value, timestampMs, headers } of records) {
    batch.push(key, key?.length ?? 0, value, timestampMs, headersOf(headers));
  }
  return Buffer.from(batch.seal(NONE));
}

describe('a record of a batch', () => {
  it('is read as kafkajs decodes it, whatever its fields, and whoever set its time', async () => {
    const some = fc.array(record, { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(some, fc.nat(2 ** 50), fc.boolean(), async (records, base, isAppended) => {
        const all = sealed(records);
        all.writeBigInt64BE(BigInt(base), 0);
        if (isAppended) {
          all.writeInt16BE(IS_LOG_APPEND_TIME, ATTRIBUTES_AT);
          all.writeBigInt64BE(1_700_000_000_123n, MAX_TIMESTAMP_AT);
        }
        expect(await readPort(all)).toEqual((await decodeWithKafkajs(all)).map(asPort));
      }),
      { numRuns: 100 },
    );
  });

  it('says the same each time it is asked', async () => {
    const headers: Header[] = [['position', Buffer.from('1-2-3')]];
    const one = { key: Buffer.from('7'), value: Buffer.from('{"é":1}'), timestampMs: 5, headers };
    const [{ messages } = { messages: [] }] = await readWhole(sealed([one]));
    const [message] = messages;
    for (let i = 0; i < 2; i++) {
      expect(message?.value).toBe('{"é":1}');
      expect(message?.headers).toEqual({ position: '1-2-3' });
      expect(message?.key).toBe('7');
    }
  });

  it('is an error where its bytes end before it does, and where there are fewer than was said', async () => {
    const one = { key: null, value: Buffer.from('a view'), timestampMs: 5, headers: [] };
    const fewer = sealed([one, one]);
    fewer.writeInt32BE(3, COUNT_AT);
    await expect(readWhole(fewer)).rejects.toThrow(RangeError);
    const longer = sealed([one]);
    longer[61] = 0x7e;
    await expect(readWhole(longer)).rejects.toThrow(RangeError);
    const negative = sealed([one]);
    negative[61] = 1;
    await expect(readWhole(negative)).rejects.toThrow(RangeError);
  });

  it('has numbers of one byte that are read as the long ones are', () => {
    for (let number = -70; number < 70; number++) {
      const to = Buffer.alloc(VARINT_BYTES_MAX);
      writeVarint(to, 0, number);
      expect(new VarintReader(to, 0).next()).toBe(number);
    }
  });
});
