import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs from 'kafkajs';
import { compressFrame, decompressFrame } from 'lz4-napi';
import { compress, uncompress } from 'snappy';

/** A codec as kafkajs wants it (protocol/message/compression). */
interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(bytes: Buffer): Promise<Buffer>;
}

/**
 * Kafka's Java clients write snappy as xerial's SnappyOutputStream does: a header, then blocks with
 * their length in four bytes. Others (librdkafka) write one raw block.
 */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
/** The magic, and two versions of four bytes. */
const XERIAL_HEADER_BYTES = 16;
const LENGTH_BYTES = 4;

/** @throws what snappy throws, or RangeError, where the bytes are no such stream. */
async function readSnappy(bytes: Buffer): Promise<Buffer> {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return await readBlock(bytes);
  const blocks: Promise<Buffer>[] = [];
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length;) {
    const length = bytes.readUInt32BE(at);
    at += LENGTH_BYTES;
    if (at + length > bytes.length) throw new RangeError('a block of snappy is cut off');
    blocks.push(readBlock(bytes.subarray(at, at + length)));
    at += length;
  }
  return Buffer.concat(await Promise.all(blocks));
}

const readBlock = async (block: Buffer): Promise<Buffer> =>
  Buffer.from(await uncompress(block, { asBuffer: true }));

const snappy: Codec = {
  compress: async ({ buffer }) => await compress(buffer),
  decompress: readSnappy,
};

const lz4: Codec = {
  compress: async ({ buffer }) => await compressFrame(buffer),
  decompress: async (bytes) => await decompressFrame(bytes),
};

const zstd: Codec = {
  compress: async ({ buffer }) => await promisify(zstdCompress)(buffer),
  decompress: async (bytes) => await promisify(zstdDecompress)(bytes),
};

/**
 * Gives kafkajs what it lacks (it brings gzip alone): every codec of Kafka can be read. Its table of
 * codecs is one for the process; doing it again changes nothing.
 */
export function registerCodecs(): void {
  const { CompressionTypes, CompressionCodecs } = kafkajs;
  const codecs = [
    [CompressionTypes.Snappy, snappy],
    [CompressionTypes.LZ4, lz4],
    [CompressionTypes.ZSTD, zstd],
  ] as const;
  for (const [type, codec] of codecs) CompressionCodecs[type] = () => codec;
}
