/**
 * Kafka's variable-length integers: zigzag, then seven bits a byte, the lowest first
 * (kafka.apache.org/protocol, VARINT and VARLONG). Safe for every integer of at most 2^52.
 */

const LIMIT = 2 ** 52;

/** That one takes at most. */
export const VARINT_BYTES_MAX = 8;

const zigzag = (n: number): number => (n >= 0 ? n * 2 : -n * 2 - 1);

/** Bytes that `n` takes. @throws RangeError for what is no integer of at most 2^52. */
export function varintBytes(n: number): number {
  // Nearly all of them.
  if (n >= -64 && n < 64 && Number.isInteger(n)) return 1;
  if (n >= -8192 && n < 8192 && Number.isInteger(n)) return 2;
  if (!Number.isInteger(n) || n > LIMIT || n < -LIMIT) throw new RangeError(`no varint: ${n}`);
  let left = zigzag(n);
  let bytes = 1;
  while (left > 127) {
    left = Math.floor(left / 128);
    bytes += 1;
  }
  return bytes;
}

/** Writes `n` at `at`; returns where the next byte goes. The room must be there. */
export function writeVarint(to: Uint8Array, at: number, n: number): number {
  if (n >= 0 && n < 8192) {
    if (n < 64) {
      to[at] = n << 1;
      return at + 1;
    }
    to[at] = ((n << 1) & 127) | 128;
    to[at + 1] = n >> 6;
    return at + 2;
  }
  let left = zigzag(n);
  let next = at;
  while (left > 127) {
    to[next] = (left % 128) | 128;
    left = Math.floor(left / 128);
    next += 1;
  }
  to[next] = left;
  return next + 1;
}

/** Reads one after the other. */
export class VarintReader {
  protected readonly from: Buffer;
  at: number;

  constructor(from: Buffer, at: number) {
    this.from = from;
    this.at = at;
  }

  /** @throws RangeError where the bytes end before the integer does. */
  next(): number {
    const first = this.from[this.at];
    // Nearly all of them.
    if (first !== undefined && first < 128) {
      this.at += 1;
      return (first >> 1) ^ -(first & 1);
    }
    let z = 0;
    let factor = 1;
    for (;;) {
      const byte = this.from[this.at];
      if (byte === undefined || factor > LIMIT) throw new RangeError('a varint without an end');
      this.at += 1;
      z += (byte & 127) * factor;
      if (byte < 128) break;
      factor *= 128;
    }
    return z % 2 === 0 ? z / 2 : -(z + 1) / 2;
  }

  /** So many bytes; null for a length of -1. A view, not a copy. */
  bytes(length: number): Buffer | null {
    if (length < 0) return null;
    const start = this.at;
    this.at += length;
    return this.from.subarray(start, this.at);
  }
}
