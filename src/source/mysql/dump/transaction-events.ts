import { CorruptEventError } from '../decode/byte-reader.ts';
import { readCommitTimeMs, readLogPosition } from './commit-time.ts';
import {
  ANONYMOUS_GTID_EVENT,
  BODY_OFFSET,
  GTID_EVENT,
  MARIADB_GTID_EVENT,
  QUERY_EVENT,
  SECONDS_OFFSET,
  SERVER_ID_OFFSET,
  XID_EVENT,
} from './event-layout.ts';
import type { CaptureEvent } from './events.ts';
import type { Gtid } from '../gtid.ts';
import { UNKNOWN_STATUS, readQueryTextStart } from './query-status.ts';

/** Flags, the server's uuid, the number. */
const UUID_OFFSET = BODY_OFFSET + 1;
const UUID_BYTES = 16;
const NUMBER_OFFSET = UUID_OFFSET + UUID_BYTES;
const GTID_BYTES = 1 + UUID_BYTES + 8;
/** Number, domain, flags: Gtid_log_event in MariaDB's sql/log_event.h. */
const DOMAIN_OFFSET = BODY_OFFSET + 8;
const FLAGS_OFFSET = DOMAIN_OFFSET + 4;
const MARIADB_GTID_BYTES = 8 + 4 + 1;
const IS_STANDALONE = 1;
const IS_XA = 64 | 128;
const XID_BYTES = 8;
const BEGIN = Buffer.from('BEGIN');

/** What comes with every transaction. */
export const TRANSACTION_TYPES: ReadonlySet<number> = new Set([
  QUERY_EVENT,
  XID_EVENT,
  GTID_EVENT,
  ANONYMOUS_GTID_EVENT,
  MARIADB_GTID_EVENT,
]);

/** Reads how transactions begin and end from the packets of the dump. */
export class TransactionEvents {
  /** The log file that events are of now. */
  file = '';
  readonly #uuid = Buffer.alloc(UUID_BYTES);
  /** What the GTIDs of that server begin with. */
  #source = '';
  /** Of MariaDB, whose log has no others. */
  #domain = -1;
  #server = -1;

  /**
   * The event of a packet, which begins at `start`; `end` is before its checksum. null: a rarer form.
   * @throws CorruptEventError
   */
  read(type: number, bytes: Buffer, start: number, end: number): CaptureEvent | null {
    const { file } = this;
    const position = readLogPosition(bytes, start, end);
    switch (type) {
      case GTID_EVENT:
        return this.#begin(this.#gtid(bytes, start, end), bytes, start, end);
      case ANONYMOUS_GTID_EVENT:
        return this.#begin(null, bytes, start, end);
      case MARIADB_GTID_EVENT:
        return this.#mariadbBegin(bytes, start, end);
      case QUERY_EVENT: {
        if (!isBegin(bytes, readQueryTextStart(bytes, start, end), end)) return null;
        return {
          kind: 'statement',
          schema: '',
          text: 'BEGIN',
          status: UNKNOWN_STATUS,
          file,
          position,
        };
      }
      case XID_EVENT:
        checkLength(start, end, XID_BYTES);
        return { kind: 'end', file, position };
      default:
        return null;
    }
  }

  #begin(gtid: Gtid | null, bytes: Buffer, start: number, end: number): CaptureEvent {
    return {
      kind: 'begin',
      gtid,
      commitMs: readCommitTimeMs(bytes, start, end),
      seconds: bytes.readUInt32LE(start + SECONDS_OFFSET),
      // A BEGIN follows.
      isOpen: false,
      isXa: false,
      file: this.file,
      position: readLogPosition(bytes, start, end),
    };
  }

  #gtid(bytes: Buffer, start: number, end: number): Gtid {
    checkLength(start, end, GTID_BYTES);
    const at = start + UUID_OFFSET;
    if (this.#source === '' || !isSame(bytes, at, this.#uuid)) {
      bytes.copy(this.#uuid, 0, at, at + UUID_BYTES);
      this.#source = `${uuidText(this.#uuid)}:`;
    }
    return { source: this.#source, number: numberAt(bytes, start + NUMBER_OFFSET) };
  }

  #mariadbBegin(bytes: Buffer, start: number, end: number): CaptureEvent | null {
    checkLength(start, end, MARIADB_GTID_BYTES);
    const flags = bytes.readUInt8(start + FLAGS_OFFSET);
    if ((flags & IS_XA) !== 0) return null;
    const domain = bytes.readUInt32LE(start + DOMAIN_OFFSET);
    const server = bytes.readUInt32LE(start + SERVER_ID_OFFSET);
    if (domain !== this.#domain || server !== this.#server || this.#source === '') {
      [this.#domain, this.#server] = [domain, server];
      this.#source = `${domain}-${server}-`;
    }
    return {
      kind: 'begin',
      gtid: { source: this.#source, number: numberAt(bytes, start + BODY_OFFSET) },
      commitMs: null,
      seconds: bytes.readUInt32LE(start + SECONDS_OFFSET),
      // It stands for the BEGIN too, where a commit will follow.
      isOpen: (flags & IS_STANDALONE) === 0,
      isXa: false,
      file: this.file,
      position: readLogPosition(bytes, start, end),
    };
  }
}

/** Quicker than a call of Node's own for so few. */
function isSame(bytes: Buffer, from: number, other: Buffer): boolean {
  for (let i = 0; i < other.length; i += 1) if (bytes[from + i] !== other[i]) return false;
  return true;
}

const isBegin = (bytes: Buffer, from: number, end: number): boolean =>
  end - from === BEGIN.length && isSame(bytes, from, BEGIN);

function checkLength(start: number, end: number, bodyBytes: number): void {
  if (end - start < BODY_OFFSET + bodyBytes) throw new CorruptEventError('it is cut off');
}

/** 64 bits, exactly. */
function numberAt(bytes: Buffer, at: number): number | bigint {
  const high = bytes.readUInt32LE(at + 4);
  if (high < 2 ** 21) return high * 2 ** 32 + bytes.readUInt32LE(at);
  return bytes.readBigUInt64LE(at);
}

function uuidText(uuid: Buffer): string {
  const hex = uuid.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}
