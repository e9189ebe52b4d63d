import fc from 'fast-check';
import { type WrittenColumn, uint } from './binlog-writer.ts';

/** A column, what may stand in it, and whether a message has it. */
export interface TriedColumn {
  column: WrittenColumn;
  value: fc.Arbitrary<Buffer>;
  isOurs: boolean;
}

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc.uint8Array({ maxLength }).map((array) => Buffer.from(array)),
    fc.string({ unit: 'binary', maxLength: maxLength >> 2 }).map((text) => Buffer.from(text)),
    fc
      .constantFrom(
        '',
        'pricing',
        'a"b\\c',
        '\u0001\u001f\u007f',
        'Zoë 東京 🚀',
        '\u2028\u2029\ufeff',
      )
      .map((text) => Buffer.from(text).subarray(0, maxLength)),
  );
const exactly = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
const sized = (prefix: number, value: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  value.map((bytesOf) => Buffer.concat([uint(bytesOf.length, prefix), bytesOf]));

/** utf8mb4, utf8mb3, latin1, ascii, binary, cp1251, koi8r, sjis, gbk, gb18030, utf16, utf32, ucs2. */
const COLLATIONS = [45, 255, 33, 8, 11, 63, 51, 7, 13, 28, 248, 54, 60, 35];

/** LENGTH bytes: of a TINYINT to a BIGINT. */
const INTEGERS = [
  { type: 1, length: 1 },
  { type: 2, length: 2 },
  { type: 9, length: 3 },
  { type: 3, length: 4 },
  { type: 8, length: 8 },
] as const;

const integerColumn = (name: string): fc.Arbitrary<TriedColumn> =>
  fc
    .record({ of: fc.constantFrom(...INTEGERS), isUnsigned: fc.boolean() })
    .map(({ of: { type, length }, isUnsigned }) => ({
      column: { name, type, metadata: [], isUnsigned },
      value: fc.oneof(
        exactly(length),
        fc.constantFrom(0, 0x7f, 0x80, 0xff).map((byte) => Buffer.alloc(length, byte)),
        fc
          .integer({ min: 0, max: 127 })
          .map((n) => uint(n, 1))
          .map((low) => Buffer.concat([low, Buffer.alloc(length - 1)])),
      ),
      isOurs: true,
    }));

/** VARCHAR, CHAR and BINARY, TEXT and BLOB of every size. */
const textColumn = (name: string): fc.Arbitrary<TriedColumn> =>
  fc
    .record({
      collation: fc.constantFrom(...COLLATIONS),
      form: fc.constantFrom('varchar', 'long varchar', 'char', 'long char', 'text'),
      length: fc.constantFrom(1, 2, 3, 4),
    })
    .map(({ collation, form, length }) => {
      const of = (type: number, metadata: number[], prefix: number): TriedColumn => ({
        column: { name, type, metadata, collation },
        value: sized(prefix, bytes(40)),
        isOurs: true,
      });
      switch (form) {
        case 'varchar':
          return of(15, [200, 0], 1);
        case 'long varchar':
          return of(15, [44, 1], 2);
        case 'char':
          return of(254, [254, 80], 1);
        case 'long char':
          // 1020 bytes: two bits of the length stand in the type.
          return of(254, [254 ^ 0x30, 1020 & 0xff], 2);
        case 'text':
          return of(252, [length], length);
      }
    });

const enumColumn = (name: string): fc.Arbitrary<TriedColumn> =>
  fc
    .record({
      size: fc.constantFrom(1, 2),
      collation: fc.constantFrom(...COLLATIONS),
      values: fc.array(bytes(12), { minLength: 1, maxLength: 5 }),
    })
    .map(({ size, collation, values }) => ({
      column: { name, type: 254, metadata: [247, size], collation, values },
      value: fc.integer({ min: 0, max: values.length }).map((n) => uint(n, size)),
      isOurs: true,
    }));

const bigEndian = (value: bigint, length: number): Buffer => {
  const all = Buffer.alloc(8);
  all.writeBigUInt64BE(value);
  return all.subarray(8 - length);
};

/** The higher half of its bytes may not have its highest bit set: fractions are below a half. */
const fraction = (decimals: number): fc.Arbitrary<Buffer> =>
  fc
    .integer({ min: 0, max: 10 ** decimals - 1 })
    .map((n) => bigEndian(BigInt(decimals % 2 === 1 ? n * 10 : n), (decimals + 1) >> 1));

const decimalsOf = fc.integer({ min: 0, max: 6 });

const timestampColumn = (name: string): fc.Arbitrary<TriedColumn> =>
  decimalsOf.map((decimals) => ({
    column: { name, type: 17, metadata: [decimals] },
    value: fc
      .tuple(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fraction(decimals))
      .map(([seconds, rest]) => Buffer.concat([bigEndian(BigInt(seconds), 4), rest])),
    isOurs: true,
  }));

const datetimeColumn = (name: string): fc.Arbitrary<TriedColumn> =>
  decimalsOf.map((decimals) => ({
    column: { name, type: 18, metadata: [decimals] },
    value: fc
      .tuple(
        fc.record({
          year: fc.oneof(
            fc.integer({ min: 1000, max: 9999 }),
            fc.integer({ min: 2020, max: 2030 }),
          ),
          month: fc.integer({ min: 0, max: 12 }),
          day: fc.integer({ min: 1, max: 31 }),
          hour: fc.integer({ min: 0, max: 23 }),
          minute: fc.integer({ min: 0, max: 59 }),
          second: fc.integer({ min: 0, max: 59 }),
        }),
        fraction(decimals),
      )
      .map(([{ year, month, day, hour, minute, second }, rest]) => {
        const date = (BigInt(year * 13 + month) << 5n) | BigInt(day);
        const time = BigInt((hour << 12) | (minute << 6) | second);
        return Buffer.concat([bigEndian((1n << 39n) | (date << 17n) | time, 5), rest]);
      }),
    isOurs: true,
  }));

const other = (
  type: number,
  metadata: readonly number[],
  value: fc.Arbitrary<Buffer>,
): fc.Arbitrary<TriedColumn> =>
  fc.boolean().map((isUnsigned) => ({
    column: { name: '', type, metadata, isUnsigned, collation: 45 },
    value,
    isOurs: false,
  }));

/** Columns of others that zongji can decode. */
const DECODABLE: readonly fc.Arbitrary<TriedColumn>[] = [
  other(1, [], exactly(1)),
  other(8, [], exactly(8)),
  other(4, [4], exactly(4)),
  other(5, [8], exactly(8)),
  other(13, [], exactly(1)),
  other(10, [], exactly(3)),
  other(246, [20, 5], exactly(10)),
  other(246, [65, 30], exactly(30)),
  other(16, [3, 2], exactly(3)),
  other(19, [6], exactly(6)),
  other(254, [248, 8], exactly(8)),
  other(254, [247, 2], exactly(2)),
  other(15, [255, 255], sized(2, bytes(600))),
  other(252, [4], sized(4, bytes(600))),
  other(245, [4], sized(4, fc.constant(Buffer.alloc(0)))),
];

/** And those that nobody can decode, whatever is in them. */
const ANYTHING: readonly fc.Arbitrary<TriedColumn>[] = [
  ...DECODABLE,
  other(245, [4], sized(4, bytes(60))),
  other(255, [4], sized(4, bytes(60))),
  other(242, [4], sized(4, bytes(60))),
  other(140, [2], sized(2, bytes(60))),
  other(141, [44, 1], sized(2, bytes(60))),
  other(7, [], exactly(4)),
  other(12, [], exactly(8)),
];

/** The columns of page_views among others, in any order. */
export const tableOf = (isAnything: boolean): fc.Arbitrary<TriedColumn[]> =>
  fc
    .tuple(
      integerColumn('id'),
      integerColumn('User_ID'),
      fc.oneof(textColumn('page'), enumColumn('page')),
      fc.oneof(textColumn('device'), enumColumn('device')),
      textColumn('browser'),
      textColumn('LOCATION'),
      fc.oneof(
        timestampColumn('event_time'),
        datetimeColumn('event_time'),
        textColumn('event_time'),
      ),
      fc.array(fc.oneof(...(isAnything ? ANYTHING : DECODABLE)), { maxLength: 12 }),
    )
    .chain(([id, user, page, device, browser, location, time, others]) => {
      const named = others.map((tried, at) => ({
        ...tried,
        column: { ...tried.column, name: `other ${at}` },
      }));
      const all = [id, user, page, device, browser, location, time, ...named];
      return fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length });
    });

/** A row of the table. Only its id is never NULL. */
export const rowOf = (table: readonly TriedColumn[]): fc.Arbitrary<(Buffer | null)[]> =>
  fc.tuple(
    ...table.map(({ column, value }) =>
      column.name === 'id' ? value : fc.option(value, { freq: 6 }),
    ),
  );
