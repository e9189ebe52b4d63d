import { CorruptEventError } from './byte-reader.ts';

const DAY_MS = 86_400_000;
/** Of the calendar, which repeats then; Date.UTC takes a year below 100 for one of the 1900s. */
const CYCLE_YEARS = 400;
const CYCLE_MS = 146_097 * DAY_MS;

/** Epoch seconds of a TIMESTAMP(n); null for the zero date. Fractions are cut off. */
export function instantSeconds(bytes: Buffer, at: number): number | null {
  // MariaDB from 11.5 on counts up to 2106.
  const seconds = bytes.readUInt32BE(at);
  return seconds === 0 ? null : seconds;
}

/**
 * Seconds of a DATETIME(n) on the wall, as if it were UTC; null where a part of the date is zero.
 * Layout: my_datetime_packed_to_binary in mysys/my_time.cc: 1 bit sign, 17 bits year × 13 + month,
 * 5 day, 5 hour, 6 minute, 6 second, big-endian.
 */
export function wallSeconds(bytes: Buffer, at: number): number | null {
  const high = bytes.readUInt16BE(at);
  const low = (bytes.readUInt8(at + 2) << 16) | bytes.readUInt16BE(at + 3);
  const yearMonth = ((high & 0x7fff) << 2) | (low >> 22);
  const year = Math.floor(yearMonth / 13);
  const month = yearMonth % 13;
  const day = (low >> 17) & 31;
  const hour = (low >> 12) & 31;
  const minute = (low >> 6) & 63;
  const second = low & 63;
  if ((high & 0x8000) === 0 || year > 9999 || hour > 23 || minute > 59 || second > 59) {
    throw new CorruptEventError('a DATETIME is no time');
  }
  if (month === 0 || day === 0) return null;
  const dayMs = Date.UTC(year + CYCLE_YEARS, month - 1, day) - CYCLE_MS;
  return dayMs / 1000 + hour * 3600 + minute * 60 + second;
}
