import { crc32 as nodeCrc32 } from 'node:zlib';
import { crc32, wordsOf } from '../../../crc.ts';
import { ByteReader, CorruptEventError } from '../decode/byte-reader.ts';
import type { Charsets } from '../decode/charsets.ts';
import {
  BODY_OFFSET,
  FORMAT_DESCRIPTION_EVENT,
  LENGTH_OFFSET,
  ROTATE_EVENT,
  TABLE_MAP_EVENT,
  TYPE_OFFSET,
} from './event-layout.ts';
import type { EventTimes } from '../decode/event-time.ts';
import type { CaptureEvent, NamedTable } from './events.ts';
import { PacketRows } from '../decode/packet-rows.ts';
import type { Flavour } from '../position.ts';
import type { RowReader } from '../decode/row-reader.ts';
import { ROWS_TYPES, type RowsType, readRowsBody, readRowsTableId } from '../decode/rows-event.ts';
import { readTableMap, readTableName } from '../decode/table-map.ts';
import {
  type TablePlan,
  hasColumn,
  isImageWhole,
  missingColumnText,
  planTable,
} from '../decode/table-plan.ts';
import { readingOf } from '../decode/table-reader.ts';
import { TRANSACTION_TYPES, TransactionEvents } from './transaction-events.ts';

const CRC32 = 1;
const CRC32_BYTES = 4;
/** From here on Node's own is faster, its call included. */
const LONG_BYTES = 512;

/** Every FLUSH TABLES gives a table another id; those that are used no more are forgotten. */
const TABLES_MAX = 1_000;

export interface RawEventsOptions {
  tables: readonly NamedTable[];
  flavour: Flavour;
  /** Filled before the first event. */
  charsets: Charsets;
  times: EventTimes;
  emit: (event: CaptureEvent) => void;
}

/** A table of ours, by its id in the log. */
type Known =
  | { kind: 'reader'; map: DataView; plan: TablePlan; reader: RowReader; all: readonly number[] }
  | { kind: 'zongji' };

/**
 * Reads table maps, rows, and how transactions begin and end from the packets of the dump. Other
 * tables are passed over, and of ours the columns that are not in a message: whatever stands in them
 * stops nothing.
 */
export class RawEvents {
  readonly #options: RawEventsOptions;
  readonly #known = new Map<number, Known>();
  readonly #transactions = new TransactionEvents();
  #checksumBytes: number | null = null;
  /** What the socket gave last: many packets lie in it. */
  #bytes: Buffer = Buffer.alloc(0);
  #words = wordsOf(this.#bytes);

  constructor(options: RawEventsOptions) {
    this.#options = options;
  }

  /** Whether the events of the log file that is read now end in a checksum; null before one. */
  get hasChecksums(): boolean | null {
    return this.#checksumBytes === null ? null : this.#checksumBytes > 0;
  }

  /**
   * One packet of the dump, from `start` to `end`. True: it is done with; false: it is for zongji.
   * @throws CorruptEventError
   */
  take(bytes: Buffer, start: number, end: number): boolean {
    if (end - start < BODY_OFFSET || bytes[start] !== 0) return false;
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#words = wordsOf(bytes);
    }
    const type = bytes[start + TYPE_OFFSET] ?? 0;
    const rows = ROWS_TYPES.get(type);
    const isOurs = rows !== undefined || type === TABLE_MAP_EVENT || TRANSACTION_TYPES.has(type);
    if (!isOurs) {
      if (type === FORMAT_DESCRIPTION_EVENT) this.#readFormat(bytes, end);
      return type === ROTATE_EVENT && this.#rotate(bytes, start, end);
    }
    if (this.#checksumBytes === null) throw new CorruptEventError('it is of no log file');
    if (bytes.readUInt32LE(start + LENGTH_OFFSET) !== end - start - 1) {
      throw new CorruptEventError('it has another length than its header says');
    }
    const from = start + BODY_OFFSET;
    const to = end - this.#checksumBytes;
    // One that is as it was needs no checksum.
    if (type === TABLE_MAP_EVENT && this.#isKnownMap(bytes, from, to)) return true;
    if (this.#checksumBytes > 0 && !this.#isSummedUp(start, end)) {
      throw new CorruptEventError('its checksum is another one');
    }
    if (rows !== undefined) return this.#rows(bytes, from, to, rows);
    if (type === TABLE_MAP_EVENT) return this.#tableMap(bytes, from, to);
    const event = this.#transactions.read(type, bytes, start, to);
    if (event !== null) this.#options.emit(event);
    return event !== null;
  }

  /** Its last five bytes: how the events of this file are summed up, and its own sum. */
  #readFormat(bytes: Buffer, end: number): void {
    this.#checksumBytes = bytes[end - CRC32_BYTES - 1] === CRC32 ? CRC32_BYTES : 0;
  }

  /**
   * Those that the server makes up at a dump's beginning and between two files end in a checksum or
   * not, whatever the files do: the sum itself tells.
   */
  #rotate(bytes: Buffer, start: number, end: number): true {
    // Table ids begin anew with the server, whose log then has another file.
    this.#known.clear();
    const to = this.#isSummedUp(start, end) ? end - CRC32_BYTES : end;
    const reader = new ByteReader(bytes, start + BODY_OFFSET, to);
    const position = reader.uint(6);
    reader.skip(2);
    const file = reader.text(to - reader.at);
    this.#transactions.file = file;
    this.#options.emit({ kind: 'rotate', file, position });
    return true;
  }

  /** Whether a table map says again what is known. */
  #isKnownMap(bytes: Buffer, from: number, to: number): boolean {
    const id = readRowsTableId(bytes, from, to);
    const known = this.#known.get(id);
    if (known?.kind !== 'reader' || !isSame(known.map, this.#words, from, to)) return false;
    if (this.#known.size > TABLES_MAX / 2) this.#touch(id, known);
    return true;
  }

  #tableMap(bytes: Buffer, from: number, to: number): boolean {
    const id = readRowsTableId(bytes, from, to);
    const known = this.#known.get(id);
    this.#known.delete(id);
    const names = readTableName(bytes, from, to);
    const table = this.#options.tables.find(
      ({ schema, name }) => schema === names.schema && name === names.table,
    );
    if (table === undefined) return true;
    const next = this.#know(table, Buffer.from(bytes.subarray(from, to)), known);
    if (next === null) return true;
    this.#known.set(id, next);
    const [oldest] = this.#known.keys();
    if (this.#known.size > TABLES_MAX && oldest !== undefined) this.#known.delete(oldest);
    return next.kind === 'reader';
  }

  /** The one used longest ago is the first to be forgotten. */
  #touch(id: number, known: Known): void {
    this.#known.delete(id);
    this.#known.set(id, known);
  }

  /** null: its rows can't be read, which was said. */
  #know(table: NamedTable, map: Buffer, before: Known | undefined): Known | null {
    const { flavour, charsets, times } = this.#options;
    const { columns, unknownType } = readTableMap(map, 0, map.length, flavour);
    if (unknownType !== null) {
      return this.#unreadable(
        `a column of ${table.name} has a type that is not known (${unknownType}); keep it in a table of its own`,
      );
    }
    if (columns === null) {
      // An id is of one definition: it was named before, and is still the same.
      if (before !== undefined) return before;
      return this.#unreadable(
        `the binlog does not name the columns of ${table.name}; set binlog_row_metadata=FULL on the server`,
      );
    }
    const plan = planTable(table, columns);
    if ('missing' in plan) {
      return this.#unreadable(missingColumnText(table.name, plan));
    }
    const reading = readingOf(plan, columns, { charsets, flavour, times });
    if (reading.kind === 'unreadable') {
      return this.#unreadable(`${reading.detail}; give it another one`);
    }
    if (reading.kind === 'zongji') return reading;
    return {
      kind: 'reader',
      map: wordsOf(map),
      plan,
      reader: reading.reader,
      all: [...columns.keys()],
    };
  }

  #rows(bytes: Buffer, from: number, to: number, type: RowsType): boolean {
    const known = this.#known.get(readRowsTableId(bytes, from, to));
    if (known === undefined) return true;
    if (known.kind === 'zongji') return false;
    const { plan, reader, all } = known;
    const { operation } = type;
    const body = readRowsBody(bytes, from, to, type);
    const { bitmaps, bitmapAt, bitmapAfterAt } = body;
    const isWhole =
      hasAll(bitmaps, bitmapAt, all.length) && hasAll(bitmaps, bitmapAfterAt, all.length);
    if (
      !isWhole &&
      !(isImageWhole(plan, bitmaps, bitmapAt) && isImageWhole(plan, bitmaps, bitmapAfterAt))
    ) {
      this.#unreadable(
        `the binlog does not hold the whole rows of ${plan.name}; set binlog_row_image=FULL on the server, and let no session set another`,
      );
      return true;
    }
    const rows = new PacketRows(reader, body, operation, { all, isWhole });
    this.#options.emit({ kind: 'rows', table: plan.table, operation, rows });
    return true;
  }

  /** Whether the event ends in its own CRC32. */
  #isSummedUp(start: number, end: number): boolean {
    const last = end - CRC32_BYTES;
    if (last <= start) return false;
    const sum =
      last - start > LONG_BYTES
        ? nodeCrc32(this.#bytes.subarray(start + 1, last))
        : crc32(this.#words, start + 1, last);
    return sum === this.#words.getUint32(last, true);
  }

  #unreadable(sentence: string): null {
    this.#options.emit({ kind: 'unreadable', sentence });
    return null;
  }
}

/** Whether a table map's bytes stand from `from` to `to`. */
function isSame(map: DataView, words: DataView, from: number, to: number): boolean {
  const length = to - from;
  if (map.byteLength !== length) return false;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    if (map.getInt32(at) !== words.getInt32(from + at)) return false;
  }
  for (; at < length; at += 1) if (map.getUint8(at) !== words.getUint8(from + at)) return false;
  return true;
}

/** Whether every column's bit is set. */
function hasAll(bitmap: Buffer, at: number, columns: number): boolean {
  for (let column = 0; column < columns; column += 1) {
    if (!hasColumn(bitmap, at, column)) return false;
  }
  return true;
}
