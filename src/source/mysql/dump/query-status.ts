import type { Quoting } from '../statements/sql-tokens.ts';

/** What a statement's event says beside its text. */
export interface QueryStatus extends Quoting {
  /** The databases that it wrote to, through triggers and functions too; null: it does not say. */
  updatedDatabases: readonly string[] | null;
}

export const UNKNOWN_STATUS: QueryStatus = {
  ansiQuotes: false,
  noBackslashEscapes: false,
  updatedDatabases: null,
};

/** sql/system_variables.h (MySQL) and sql/sql_class.h (MariaDB): MODE_*. */
const MODE_ANSI_QUOTES = 4n;
const MODE_NO_BACKSLASH_ESCAPES = 1n << 20n;

/** Marker byte and the header of 19, then proxy id 4, seconds 4, schema length 1, error 2. */
const SCHEMA_LENGTH_OFFSET = 28;
const STATUS_LENGTH_OFFSET = 31;
const STATUS_OFFSET = 33;

/** Query_event::Query_event_status_vars: bytes of those that are as long always. */
const LENGTHS: ReadonlyMap<number, number> = new Map([
  [0, 4],
  [1, 8],
  [3, 4],
  [4, 6],
  [7, 2],
  [8, 2],
  [9, 8],
  [10, 4],
  [13, 3],
  [16, 1],
  [17, 8],
  [18, 2],
  [19, 1],
  [20, 1],
  [128, 3],
  [129, 8],
]);
const SQL_MODE = 1;
const TIME_ZONE = 5;
const CATALOG = 6;
const INVOKER = 11;
const UPDATED_DATABASES = 12;
/** MAX_DBS_IN_EVENT_MTS: of more, none is named (the count is 254 then). */
const DATABASES_MAX = 16;

/**
 * Reads the status variables of a Query event, which `packet` from `start` to `end` is one of. What
 * stands after one that is unknown is not read. Never throws.
 * Layout: libs/mysql/binlog/event/statement_events.h.
 */
export function readQueryStatus(packet: Buffer, start: number, end: number): QueryStatus {
  if (end - start < STATUS_OFFSET) return UNKNOWN_STATUS;
  const from = start + STATUS_OFFSET;
  const to = Math.min(end, from + packet.readUInt16LE(start + STATUS_LENGTH_OFFSET));
  let mode = 0n;
  let updatedDatabases: string[] | null = null;
  for (let at = from; at < to;) {
    const code = packet.readUInt8(at);
    at += 1;
    const length = LENGTHS.get(code);
    if (code === SQL_MODE && at + 8 <= to) mode = packet.readBigUInt64LE(at);
    if (length !== undefined) at += length;
    else if (code === TIME_ZONE || code === CATALOG) at += 1 + (packet[at] ?? 0);
    else if (code === INVOKER) {
      at += 1 + (packet[at] ?? 0);
      at += 1 + (packet[at] ?? 0);
    } else {
      if (code === UPDATED_DATABASES) updatedDatabases = readNames(packet, at, to);
      break;
    }
  }
  return {
    ansiQuotes: (mode & MODE_ANSI_QUOTES) !== 0n,
    noBackslashEscapes: (mode & MODE_NO_BACKSLASH_ESCAPES) !== 0n,
    updatedDatabases,
  };
}

/** A count, and as many names, each with a zero at its end. */
function readNames(packet: Buffer, at: number, to: number): string[] | null {
  const count = packet[at] ?? 0;
  if (at >= to || count === 0 || count > DATABASES_MAX) return null;
  const names: string[] = [];
  let from = at + 1;
  for (let i = 0; i < count; i += 1) {
    const zero = packet.indexOf(0, from);
    if (zero < 0 || zero >= to) return null;
    names.push(packet.toString('utf8', from, zero));
    from = zero + 1;
  }
  return names;
}

/**
 * The text of a statement's event, which `packet` from `start` to `end` is, without a checksum; null
 * where it is cut off. zongji's own is as long as the server's setting at the start made checksums,
 * and that changes from file to file.
 */
export function readQueryText(packet: Buffer, start: number, end: number): string | null {
  const from = readQueryTextStart(packet, start, end);
  return from > end ? null : packet.toString('utf8', from, end);
}

/** Where the text begins; after `end` where it is cut off. */
export function readQueryTextStart(packet: Buffer, start: number, end: number): number {
  if (end - start < STATUS_OFFSET) return end + 1;
  const schemaBytes = packet.readUInt8(start + SCHEMA_LENGTH_OFFSET);
  const statusBytes = packet.readUInt16LE(start + STATUS_LENGTH_OFFSET);
  return start + STATUS_OFFSET + statusBytes + schemaBytes + 1;
}
