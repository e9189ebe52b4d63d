import { inflateSync } from 'node:zlib';
import { ByteReader, CorruptEventError } from './byte-reader.ts';
import type { RowOperation } from '../../port.ts';

/** What a type of event does with rows. */
export interface RowsType {
  operation: RowOperation;
  /** MariaDB with log_bin_compress=ON. */
  isCompressed: boolean;
  /** The form since MySQL 5.6, with extra data before the columns. */
  isSecondForm: boolean;
}

const TABLE_ID_BYTES = 6;

const OPERATIONS = ['insert', 'update', 'delete'] as const;

/** WRITE_ROWS and the two after it; libs/mysql/binlog/event/binlog_event.h, MariaDB's sql/log_event.h. */
const FIRST_TYPES = [
  { first: 23, isCompressed: false, isSecondForm: false },
  { first: 30, isCompressed: false, isSecondForm: true },
  { first: 166, isCompressed: true, isSecondForm: false },
  { first: 169, isCompressed: true, isSecondForm: true },
] as const;

/** By event type. */
export const ROWS_TYPES: ReadonlyMap<number, RowsType> = new Map(
  FIRST_TYPES.flatMap(({ first, isCompressed, isSecondForm }) =>
    OPERATIONS.map(
      (operation, i) => [first + i, { operation, isCompressed, isSecondForm }] as const,
    ),
  ),
);

/** The rows of an event, and which columns they have. */
export interface RowsBody {
  bytes: Buffer;
  at: number;
  end: number;
  columns: number;
  /** Where there is one bit a column; of an update, before and after the change. */
  bitmaps: Buffer;
  bitmapAt: number;
  bitmapAfterAt: number;
}

/** The id of the table that a rows event or a table map is of. @throws CorruptEventError */
export function readRowsTableId(bytes: Buffer, start: number, end: number): number {
  if (end - start < TABLE_ID_BYTES) throw new CorruptEventError('it is cut off');
  return bytes.readUIntLE(start, TABLE_ID_BYTES);
}

/**
 * Reads a rows event between its header and its checksum, up to its first row.
 * Layout: Rows_event in libs/mysql/binlog/event/rows_event.h.
 * @throws CorruptEventError
 */
export function readRowsBody(bytes: Buffer, start: number, end: number, type: RowsType): RowsBody {
  const reader = new ByteReader(bytes, start, end);
  reader.skip(TABLE_ID_BYTES + 2);
  if (type.isSecondForm) {
    const extra = reader.uint(2);
    // Its length counts itself.
    reader.skip(extra - 2);
  }
  const columns = reader.lengthCoded();
  const bitmapAt = reader.at;
  reader.skip((columns + 7) >> 3);
  const bitmapAfterAt = type.operation === 'update' ? reader.at : bitmapAt;
  if (type.operation === 'update') reader.skip((columns + 7) >> 3);
  const body = { bytes, at: reader.at, end, columns, bitmaps: bytes, bitmapAt, bitmapAfterAt };
  if (!type.isCompressed) return body;
  const inflated = inflate(reader);
  return { ...body, bytes: inflated, at: 0, end: inflated.length };
}

/**
 * Layout: binlog_buf_uncompress in MariaDB's sql/log_event.cc: a byte (the highest bit set, three
 * bits for the method, three for the bytes of the length), the length big-endian, zlib.
 */
function inflate(reader: ByteReader): Buffer {
  const head = reader.uint(1);
  const lengthBytes = head & 7;
  if ((head & 0xf0) !== 0x80 || lengthBytes < 1 || lengthBytes > 4) {
    throw new CorruptEventError('its compression is not known');
  }
  const length = reader.bytes(lengthBytes).readUIntBE(0, lengthBytes);
  const packed = reader.bytes(reader.end - reader.at);
  let inflated: Buffer;
  try {
    inflated = inflateSync(packed, { maxOutputLength: Math.max(length, 1) });
  } catch (error) {
    throw new CorruptEventError(`its rows do not unpack (${(error as Error).message})`);
  }
  if (inflated.length !== length) throw new CorruptEventError('its rows unpack to another length');
  return inflated;
}
