import {
  ANONYMOUS_GTID_EVENT,
  BODY_OFFSET,
  GTID_EVENT,
  LOG_POSITION_OFFSET,
  TYPE_OFFSET,
} from './event-layout.ts';

/** flags 1, uuid 16, gno 8, then the logical clock: type 1, last_committed 8, sequence_number 8. */
const CLOCK_TYPE_OFFSET = BODY_OFFSET + 25;
const CLOCK_TYPE = 2;
const COMMIT_TIME_OFFSET = CLOCK_TYPE_OFFSET + 17;
const COMMIT_TIME_BYTES = 7;

/**
 * The commit time in epoch ms that a MySQL GTID event carries, or null for any other event and for
 * servers that write none (before 8.0, MariaDB, tagged GTIDs). zongji does not read it.
 *
 * `packet` from `start` to `end` is one packet of the dump. Layout: Gtid_event, field
 * immediate_commit_timestamp, in libs/mysql/binlog/event/control_events.h: microseconds in 7 bytes,
 * whose highest bit says that another time follows.
 */
export function readCommitTimeMs(packet: Buffer, start: number, end: number): number | null {
  if (end - start < COMMIT_TIME_OFFSET + COMMIT_TIME_BYTES) return null;
  const type = packet[start + TYPE_OFFSET];
  if (type !== GTID_EVENT && type !== ANONYMOUS_GTID_EVENT) return null;
  if (packet[start + CLOCK_TYPE_OFFSET] !== CLOCK_TYPE) return null;
  const at = start + COMMIT_TIME_OFFSET;
  const micros = packet.readUIntLE(at, 6) + (packet.readUInt8(at + 6) & 0x7f) * 2 ** 48;
  return micros === 0 ? null : Math.floor(micros / 1000);
}

/** The event type of a packet of the dump, or -1. */
export function readEventType(packet: Buffer, start: number, end: number): number {
  return end - start < BODY_OFFSET ? -1 : packet.readUInt8(start + TYPE_OFFSET);
}

/** Where the event of a packet ends in its file, modulo 2^32; 0 where that is not said. */
export function readLogPosition(packet: Buffer, start: number, end: number): number {
  return end - start < BODY_OFFSET ? 0 : packet.readUInt32LE(start + LOG_POSITION_OFFSET);
}

/** A header's time has whole seconds: the best estimate is now, as far as the second allows. */
export function estimateCommitMs(nowMs: number, headerSeconds: number): number {
  const firstMs = headerSeconds * 1000;
  return Math.min(Math.max(nowMs, firstMs), firstMs + 999);
}
