import { BINARY, type Charsets, type TextReading, textReadingOf } from './charsets.ts';
import { JSON_BYTES_MAX, writeText } from './json-bytes.ts';
import { TYPE, stringBytesMax } from './mysql-types.ts';
import type { MappedColumn } from './table-map.ts';

/** How a column of ours is read. */
export type FieldReading =
  /** 1, 2, 3, 4 or 8 bytes. */
  | { kind: 'integer'; bytes: number; isUnsigned: boolean }
  /** `padTo`: a BINARY(n) comes without the zeros at its end. */
  | { kind: 'text'; text: TextReading; padTo: number }
  /** By its number; 0 is the error value, which shows as the empty string. */
  | { kind: 'enum'; bytes: number; json: readonly Buffer[] }
  | { kind: 'timestamp' }
  | { kind: 'datetime' };

const INTEGER_BYTES: ReadonlyMap<number, number> = new Map([
  [TYPE.tiny, 1],
  [TYPE.short, 2],
  [TYPE.int24, 3],
  [TYPE.long, 4],
  [TYPE.longlong, 8],
]);

/** A column with text in a collation that the server did not name. */
export interface UnknownCollation {
  kind: 'unknown collation';
  id: number;
}

/** null: a type that is not read here. */
export function fieldReadingOf(
  column: MappedColumn,
  charsets: Charsets,
): FieldReading | UnknownCollation | null {
  const bytes = INTEGER_BYTES.get(column.type);
  if (bytes !== undefined) return { kind: 'integer', bytes, isUnsigned: column.isUnsigned };
  switch (column.type) {
    case TYPE.timestamp2:
      return { kind: 'timestamp' };
    case TYPE.datetime2:
      return { kind: 'datetime' };
    case TYPE.varchar:
    case TYPE.string:
    case TYPE.blob:
    case TYPE.enum:
      break;
    default:
      return null;
  }
  const charset = column.collation === null ? BINARY : charsets.byCollation.get(column.collation);
  if (charset === undefined) return { kind: 'unknown collation', id: column.collation ?? 0 };
  const text = textReadingOf(charset, charsets);
  if (column.type === TYPE.enum) {
    const json = [Buffer.alloc(0), ...column.values].map((value) => enumJson(value, text));
    return { kind: 'enum', bytes: column.metadata & 0xff, json };
  }
  const isBinary = column.type === TYPE.string && charset === BINARY;
  return { kind: 'text', text, padTo: isBinary ? stringBytesMax(column.metadata) : 0 };
}

function enumJson(value: Buffer, text: TextReading): Buffer {
  const target = Buffer.alloc(value.length * JSON_BYTES_MAX + 2);
  return target.subarray(0, writeText(value, 0, value.length, text, target, 0));
}
