import { crc32 } from 'node:zlib';

/**
 * Writes packets of a binlog dump byte by byte, as a server does: for tests of what reads them.
 * Only what those need; layouts as in libs/mysql/binlog/event.
 */
export interface WrittenColumn {
  name: string;
  type: number;
  /** Of the table map. */
  metadata: readonly number[];
  isUnsigned?: boolean;
  collation?: number;
  values?: readonly Buffer[];
}

/** A value's bytes in the row, its length before it where it has one; null for NULL. */
export type WrittenRow = readonly (Buffer | null)[];

const NUMERIC = new Set([0, 1, 2, 3, 4, 5, 8, 9, 13, 246]);
/** The vectors among them are MySQL's. */
const CHARACTER = new Set([15, 140, 141, 242, 249, 250, 251, 252, 253, 254]);

export const uint = (value: number, length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  bytes.writeUIntLE(value, 0, length);
  return bytes;
};

const lengthCoded = (value: number): Buffer =>
  value < 251 ? uint(value, 1) : Buffer.concat([uint(252, 1), uint(value, 2)]);

const sized = (bytes: Buffer): Buffer => Buffer.concat([lengthCoded(bytes.length), bytes]);

const bitmap = (bits: readonly boolean[], isHighFirst = false): Buffer => {
  const bytes = Buffer.alloc((bits.length + 7) >> 3);
  for (const [at, bit] of bits.entries()) {
    if (!bit) continue;
    const mask = isHighFirst ? 0x80 >> (at & 7) : 1 << (at & 7);
    bytes[at >> 3] = (bytes[at >> 3] ?? 0) | mask;
  }
  return bytes;
};

/** The bytes of an event as a packet without the protocol's header, with its checksum. */
export const summedUp = (event: Buffer): Buffer =>
  Buffer.concat([event, uint(crc32(event.subarray(1)), 4)]);

export function packetOf(type: number, body: Buffer): Buffer {
  const length = 19 + body.length + 4;
  const event = Buffer.concat([
    uint(0, 1),
    uint(1_700_000_000, 4),
    uint(type, 1),
    uint(1, 4),
    uint(length, 4),
    uint(4_000, 4),
    uint(0, 2),
    body,
  ]);
  return summedUp(event);
}

/** Says that events end in a checksum. */
export const formatDescription = (): Buffer => packetOf(15, Buffer.from([4, 0, 1]));

function charsets(columns: readonly WrittenColumn[], isDefault: boolean): Buffer {
  const ids = columns.map(({ collation = 63 }) => collation);
  if (!isDefault) return Buffer.concat(ids.map(lengthCoded));
  const [first = 63] = ids;
  const others = [...ids.entries()].filter(([, id]) => id !== first);
  const pairs = others.flatMap(([at, id]) => [lengthCoded(at), lengthCoded(id)]);
  return Buffer.concat([lengthCoded(first), ...pairs]);
}

const valuesOf = (columns: readonly WrittenColumn[]): Buffer =>
  Buffer.concat(
    columns.flatMap(({ values = [] }) => [lengthCoded(values.length), ...values.map(sized)]),
  );

/** `isDefault`: one collation for all, and those that differ; else one for each column. */
export function tableMap(
  { id, schema, table }: { id: number; schema: string; table: string },
  columns: readonly WrittenColumn[],
  isDefault: boolean,
): Buffer {
  const named = (name: string): Buffer[] => [
    uint(Buffer.byteLength(name), 1),
    Buffer.from(name),
    uint(0, 1),
  ];
  const typeOf = ({ type, metadata }: WrittenColumn): number =>
    type === 254 && (metadata[0] === 247 || metadata[0] === 248) ? metadata[0] : type;
  const of = (isOne: (type: number) => boolean): WrittenColumn[] =>
    columns.filter((column) => isOne(typeOf(column)));
  const field = (type: number, bytes: Buffer): Buffer =>
    bytes.length === 0 ? bytes : Buffer.concat([uint(type, 1), sized(bytes)]);
  const characters = of((type) => CHARACTER.has(type));
  const enumsAndSets = of((type) => type === 247 || type === 248);
  const numbers = of((type) => NUMERIC.has(type));
  const metadata = Buffer.from(columns.flatMap((column) => [...column.metadata]));
  return packetOf(
    19,
    Buffer.concat([
      uint(id, 6),
      uint(1, 2),
      ...named(schema),
      ...named(table),
      lengthCoded(columns.length),
      Buffer.from(columns.map(({ type }) => type)),
      sized(metadata),
      bitmap(columns.map(() => true)),
      field(
        1,
        bitmap(
          numbers.map(({ isUnsigned = false }) => isUnsigned),
          true,
        ),
      ),
      characters.length === 0
        ? Buffer.alloc(0)
        : field(isDefault ? 2 : 3, charsets(characters, isDefault)),
      field(4, Buffer.concat(columns.map(({ name }) => sized(Buffer.from(name))))),
      field(5, valuesOf(of((type) => type === 248))),
      field(6, valuesOf(of((type) => type === 247))),
      enumsAndSets.length === 0
        ? Buffer.alloc(0)
        : field(isDefault ? 10 : 11, charsets(enumsAndSets, isDefault)),
      field(8, lengthCoded(0)),
    ]),
  );
}

/** `rows`: of an update, before and after in turn. `present` is for all of them. */
export function rowsEvent(
  type: number,
  tableId: number,
  present: readonly boolean[],
  rows: readonly WrittenRow[],
): Buffer {
  const isSecondForm = type >= 30;
  const isUpdate = type === 24 || type === 31;
  const bits = bitmap(present);
  const images = rows.flatMap((row) => {
    const values = row.filter((_, at) => present[at] === true);
    return [bitmap(values.map((value) => value === null)), ...values.filter((v) => v !== null)];
  });
  return packetOf(
    type,
    Buffer.concat([
      uint(tableId, 6),
      uint(1, 2),
      ...(isSecondForm ? [uint(2 + 3, 2), Buffer.from([1, 2, 3])] : []),
      lengthCoded(present.length),
      bits,
      ...(isUpdate ? [bits] : []),
      ...images,
    ]),
  );
}
