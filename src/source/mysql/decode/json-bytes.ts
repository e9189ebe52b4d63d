import type { TextReading } from './charsets.ts';

/** Of one byte of text: as `\u00ff`, or as three bytes of UTF-8. */
export const JSON_BYTES_MAX = 6;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
/** From here on Node's own copying is faster, its call included. */
const LONG_BYTES = 12;
export const NULL = Buffer.from('null');

/** The functions here write at `at` and give back where they ended; there has to be room. */
export function copyBytes(bytes: Uint8Array, target: Buffer, at: number): number {
  const { length } = bytes;
  if (length >= LONG_BYTES) {
    target.set(bytes, at);
    return at + length;
  }
  let place = at;
  for (let i = 0; i < length; i += 1) {
    target[place] = bytes[i] ?? 0;
    place += 1;
  }
  return place;
}

export const writeNull = (target: Buffer, at: number): number => copyBytes(NULL, target, at);

/** 0 to 99 as two digits. */
export function writePair(value: number, target: Buffer, at: number): number {
  const tens = (value / 10) | 0;
  target[at] = ZERO + tens;
  target[at + 1] = ZERO + value - tens * 10;
  return at + 2;
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits += 1;
  return digits;
}

/** A safe integer in decimal. */
function writeInteger(value: number, target: Buffer, at: number): number {
  let from = at;
  let rest = value;
  if (value < 0) {
    target[from] = MINUS;
    from += 1;
    rest = -value;
  }
  if (rest > 0xffff_ffff) return from + target.write(String(rest), from, 'latin1');
  const end = from + digitsOf(rest);
  let place = end;
  while (rest >= 10) {
    const next = (rest / 100) >>> 0;
    place -= 2;
    writePair(rest - next * 100, target, place);
    rest = next;
  }
  if (place > from) target[from] = ZERO + rest;
  return end;
}

/** An id: a number as it is, text quoted. */
export function writeId(id: number | string, target: Buffer, at: number): number {
  if (typeof id === 'number') return writeInteger(id, target, at);
  return at + target.write(JSON.stringify(id), at, 'utf8');
}

/** Bytes of one character of several bytes, or 0 where they are no UTF-8 (Unicode, table 3-7). */
function characterLength(bytes: Buffer, at: number, end: number): number {
  const first = bytes[at] ?? 0;
  const second = at + 1 < end ? (bytes[at + 1] ?? 0) : 0;
  if (first < 0xc2 || first > 0xf4 || (second & 0xc0) !== 0x80) return 0;
  if (first < 0xe0) return 2;
  const third = at + 2 < end ? (bytes[at + 2] ?? 0) : 0;
  if ((third & 0xc0) !== 0x80) return 0;
  if (first < 0xf0) {
    if (first === 0xe0 && second < 0xa0) return 0;
    return first === 0xed && second > 0x9f ? 0 : 3;
  }
  const fourth = at + 3 < end ? (bytes[at + 3] ?? 0) : 0;
  if ((fourth & 0xc0) !== 0x80) return 0;
  if (first === 0xf0 && second < 0x90) return 0;
  return first === 0xf4 && second > 0x8f ? 0 : 4;
}

/** Copies text that JSON has as it is; -1 at the first byte that it has not. */
function copyPlain(bytes: Buffer, from: number, end: number, target: Buffer, at: number): number {
  let place = at;
  let i = from;
  while (i < end) {
    const byte = bytes[i] ?? 0;
    if (byte < 0x80) {
      if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) return -1;
      target[place] = byte;
      place += 1;
      i += 1;
      continue;
    }
    const length = characterLength(bytes, i, end);
    if (length === 0) return -1;
    for (let k = 0; k < length; k += 1) target[place + k] = bytes[i + k] ?? 0;
    place += length;
    i += length;
  }
  return place;
}

function writeUtf8(bytes: Buffer, from: number, end: number, target: Buffer, at: number): number {
  target[at] = QUOTE;
  const last = copyPlain(bytes, from, end, target, at + 1);
  if (last < 0) return at + target.write(JSON.stringify(bytes.toString('utf8', from, end)), at);
  target[last] = QUOTE;
  return last + 1;
}

/**
 * The text between `from` and `end`, quoted: the bytes of `JSON.stringify` of what it reads as.
 * Bytes that are no text become U+FFFD. At most JSON_BYTES_MAX for each byte, and the quotes.
 */
export function writeText(
  bytes: Buffer,
  from: number,
  end: number,
  reading: TextReading,
  target: Buffer,
  at: number,
): number {
  if (reading.kind === 'utf8') return writeUtf8(bytes, from, end, target, at);
  if (reading.kind === 'decoded') {
    const text = reading.decode(bytes.subarray(from, end));
    return at + target.write(JSON.stringify(text), at, 'utf8');
  }
  target[at] = QUOTE;
  let place = at + 1;
  for (let i = from; i < end; i += 1) {
    const json = reading.json[bytes[i] ?? 0];
    if (json !== undefined) place = copyBytes(json, target, place);
  }
  target[place] = QUOTE;
  return place + 1;
}

/** The same text as a string. */
export function readText(bytes: Buffer, from: number, end: number, reading: TextReading): string {
  const target = Buffer.allocUnsafe((end - from) * JSON_BYTES_MAX + 2);
  const length = writeText(bytes, from, end, reading, target, 0);
  return JSON.parse(target.toString('utf8', 0, length)) as string;
}
