const BYTES_A_STEP = 16;

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

/** Of the bytes from `start` up to `end`, as an unsigned 32-bit integer. */
type Checksum = (words: DataView, start: number, end: number) => number;

/** `polynomial` with its bits reversed. Sixteen bytes at a time: of long ones some 2 GB/s. */
function checksumOf(polynomial: number): Checksum {
  const t = tablesOf(polynomial);
  return (words, start, end) => {
    let crc = -1;
    let at = start;
    for (; at + BYTES_A_STEP <= end; at += BYTES_A_STEP) {
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
    for (; at + 4 <= end; at += 4) {
      const a = crc ^ words.getInt32(at, true);
      crc =
        (t[768 + (a & 255)] ?? 0) ^
        (t[512 + ((a >>> 8) & 255)] ?? 0) ^
        (t[256 + ((a >>> 16) & 255)] ?? 0) ^
        (t[a >>> 24] ?? 0);
    }
    for (; at < end; at++) crc = (t[(crc ^ words.getUint8(at)) & 255] ?? 0) ^ (crc >>> 8);
    return ~crc >>> 0;
  };
}

/** Those bytes, to be read as words. */
export const wordsOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** CRC-32C (Castagnoli): the checksum of Kafka's record batches. */
export const crc32c: Checksum = checksumOf(0x82f63b78);

/**
 * CRC-32 (IEEE 802.3): the checksum of the binlog's events. Node's own is as fast for long ones, but
 * its call alone takes longer than this does for the short ones that every transaction has.
 */
export const crc32: Checksum = checksumOf(0xedb88320);
