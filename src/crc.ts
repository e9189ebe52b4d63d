const BYTES_A_STEP = 16;
/** From here on the words are worth the view that they are read by. */
const LONG_BYTES = 1024;

/** Of the bytes from `start` up to `end`, as an unsigned 32-bit integer. */
type Checksum = (bytes: Uint8Array, start?: number, end?: number) => number;

/** Table `k` at `k * 256`: what a byte does to the checksum when `k` bytes follow it in the step. */
function tablesOf(polynomial: number): Int32Array {
  const tables = new Int32Array(BYTES_A_STEP * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ polynomial;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256] ?? 0;
    tables[at] = (before >>> 8) ^ (tables[before & 255] ?? 0);
  }
  return tables;
}

/** `polynomial` with its bits reversed. Of long ones some 2 GB/s. */
function checksumOf(polynomial: number): Checksum {
  const t = tablesOf(polynomial);
  return (bytes, start = 0, end = bytes.length) => {
    let crc = -1;
    let at = start;
    if (end - start >= LONG_BYTES) {
      at = end - ((end - start) % BYTES_A_STEP);
      crc = ofLong(t, bytes, start, at);
    }
    for (; at + 8 <= end; at += 8) {
      crc ^=
        (bytes[at] ?? 0) |
        ((bytes[at + 1] ?? 0) << 8) |
        ((bytes[at + 2] ?? 0) << 16) |
        ((bytes[at + 3] ?? 0) << 24);
      crc =
        (t[1792 + (crc & 255)] ?? 0) ^
        (t[1536 + ((crc >>> 8) & 255)] ?? 0) ^
        (t[1280 + ((crc >>> 16) & 255)] ?? 0) ^
        (t[1024 + (crc >>> 24)] ?? 0) ^
        (t[768 + (bytes[at + 4] ?? 0)] ?? 0) ^
        (t[512 + (bytes[at + 5] ?? 0)] ?? 0) ^
        (t[256 + (bytes[at + 6] ?? 0)] ?? 0) ^
        (t[bytes[at + 7] ?? 0] ?? 0);
    }
    for (; at < end; at++) crc = (t[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0) ^ (crc >>> 8);
    return ~crc >>> 0;
  };
}

/** Whole steps of sixteen bytes, read as four words; what the checksum is so far. */
function ofLong(t: Int32Array, bytes: Uint8Array, start: number, end: number): number {
  const words = new DataView(bytes.buffer, bytes.byteOffset, end);
  let crc = -1;
  for (let at = start; at < end; at += BYTES_A_STEP) {
    const a = crc ^ words.getInt32(at, true);
    const b = words.getInt32(at + 4, true);
    const c = words.getInt32(at + 8, true);
    const d = words.getInt32(at + 12, true);
    crc =
      (t[3840 + (a & 255)] ?? 0) ^
      (t[3584 + ((a >>> 8) & 255)] ?? 0) ^
      (t[3328 + ((a >>> 16) & 255)] ?? 0) ^
      (t[3072 + (a >>> 24)] ?? 0) ^
      (t[2816 + (b & 255)] ?? 0) ^
      (t[2560 + ((b >>> 8) & 255)] ?? 0) ^
      (t[2304 + ((b >>> 16) & 255)] ?? 0) ^
      (t[2048 + (b >>> 24)] ?? 0) ^
      (t[1792 + (c & 255)] ?? 0) ^
      (t[1536 + ((c >>> 8) & 255)] ?? 0) ^
      (t[1280 + ((c >>> 16) & 255)] ?? 0) ^
      (t[1024 + (c >>> 24)] ?? 0) ^
      (t[768 + (d & 255)] ?? 0) ^
      (t[512 + ((d >>> 8) & 255)] ?? 0) ^
      (t[256 + ((d >>> 16) & 255)] ?? 0) ^
      (t[d >>> 24] ?? 0);
  }
  return crc;
}

/** CRC-32C (Castagnoli): the checksum of Kafka's record batches. */
export const crc32c: Checksum = checksumOf(0x82f63b78);

/**
 * CRC-32 (IEEE 802.3): the checksum of the binlog's events. Node's own is as fast for long ones, but
 * its call alone takes longer than this does for the short ones that every transaction has.
 */
export const crc32: Checksum = checksumOf(0xedb88320);
