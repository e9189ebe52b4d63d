/**
 * Column types as the binlog numbers them (include/field_types.h; MariaDB's own in
 * sql/field.h and include/mysql_com.h).
 */
export const TYPE = {
  decimal: 0,
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  null: 6,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newdate: 14,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  /** MariaDB's COMPRESSED columns. */
  blobCompressed: 140,
  varcharCompressed: 141,
  vector: 242,
  json: 245,
  newdecimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const;

/** Bytes that the table map has for a column beside its type; types that are not here have none. */
const METADATA_BYTES: ReadonlyMap<number, 0 | 1 | 2> = new Map<number, 0 | 1 | 2>([
  ...[TYPE.tiny, TYPE.short, TYPE.int24, TYPE.long, TYPE.longlong, TYPE.null].map(none),
  ...[TYPE.timestamp, TYPE.date, TYPE.time, TYPE.datetime, TYPE.year, TYPE.newdate].map(none),
  ...[TYPE.float, TYPE.double, TYPE.timestamp2, TYPE.datetime2, TYPE.time2].map(one),
  ...[TYPE.blob, TYPE.tinyBlob, TYPE.mediumBlob, TYPE.longBlob, TYPE.blobCompressed].map(one),
  ...[TYPE.json, TYPE.geometry, TYPE.vector].map(one),
  ...[TYPE.varchar, TYPE.varcharCompressed, TYPE.bit, TYPE.newdecimal].map(two),
  ...[TYPE.string, TYPE.varString, TYPE.enum, TYPE.set].map(two),
]);

function none(type: number): [number, 0] {
  return [type, 0];
}

function one(type: number): [number, 1] {
  return [type, 1];
}

function two(type: number): [number, 2] {
  return [type, 2];
}

/** null: a type of a later server, of which nothing is known. */
export function metadataBytesOf(type: number): 0 | 1 | 2 | null {
  return METADATA_BYTES.get(type) ?? null;
}

/** How a value is passed over: by so many bytes, or by a length in so many bytes before it. */
export interface ValueLength {
  fixed: number;
  prefix: 0 | 1 | 2 | 3 | 4;
}

const fixed = (bytes: number): ValueLength => ({ fixed: bytes, prefix: 0 });

const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [TYPE.null, 0],
  [TYPE.tiny, 1],
  [TYPE.year, 1],
  [TYPE.short, 2],
  [TYPE.int24, 3],
  [TYPE.date, 3],
  [TYPE.newdate, 3],
  [TYPE.time, 3],
  [TYPE.long, 4],
  [TYPE.float, 4],
  [TYPE.timestamp, 4],
  [TYPE.longlong, 8],
  [TYPE.double, 8],
  [TYPE.datetime, 8],
]);

/** Bytes of so many decimal digits beyond whole groups of nine (strings/decimal.cc). */
const DIGIT_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4] as const;

function decimalBytes(digits: number): number {
  return Math.floor(digits / 9) * 4 + (DIGIT_BYTES[digits % 9] ?? 0);
}

/** Of the fraction of a second, by its digits. */
const fractionBytes = (decimals: number): number => (decimals + 1) >> 1;

/**
 * `metadata` is the table map's, in the order of its bytes (of two: the first is the higher).
 * null: it can't be told.
 */
export function valueLengthOf(type: number, metadata: number): ValueLength | null {
  const bytes = FIXED_BYTES.get(type);
  if (bytes !== undefined) return fixed(bytes);
  const [high, low] = [metadata >> 8, metadata & 0xff];
  switch (type) {
    case TYPE.timestamp2:
      return low > 6 ? null : fixed(4 + fractionBytes(low));
    case TYPE.datetime2:
      return low > 6 ? null : fixed(5 + fractionBytes(low));
    case TYPE.time2:
      return low > 6 ? null : fixed(3 + fractionBytes(low));
    case TYPE.newdecimal:
      return low > high ? null : fixed(decimalBytes(high - low) + decimalBytes(low));
    case TYPE.bit:
      // Bits beyond whole bytes, and whole bytes.
      return fixed(low + (high > 0 ? 1 : 0));
    case TYPE.enum:
      return low === 1 || low === 2 ? fixed(low) : null;
    case TYPE.set:
      return low >= 1 && low <= 8 ? fixed(low) : null;
    case TYPE.varchar:
    case TYPE.varcharCompressed:
      // The one number that the server writes with its lower byte first.
      return { fixed: 0, prefix: ((low << 8) | high) > 255 ? 2 : 1 };
    case TYPE.string:
    case TYPE.varString:
      return { fixed: 0, prefix: stringBytesMax(metadata) > 255 ? 2 : 1 };
    case TYPE.blob:
    case TYPE.tinyBlob:
    case TYPE.mediumBlob:
    case TYPE.longBlob:
    case TYPE.blobCompressed:
    case TYPE.json:
    case TYPE.geometry:
    case TYPE.vector:
      return low === 1 || low === 2 || low === 3 || low === 4 ? { fixed: 0, prefix: low } : null;
    default:
      return null;
  }
}

/** Of a CHAR or BINARY: two bits of its length stand, inverted, within the type's byte. */
export function stringBytesMax(metadata: number): number {
  return (((metadata >> 4) & 0x300) ^ 0x300) + (metadata & 0xff);
}
