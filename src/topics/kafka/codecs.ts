import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs from 'kafkajs';
import { UnavailableError } from '../../errors.ts';

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

/**
 * Both are programs for one kind of machine each: who reads nothing that is compressed so needs none.
 * @throws UnavailableError where there is none for this machine.
 */
async function load<T>(codec: string, module: () => Promise<T>): Promise<T> {
  try {
    return await module();
  } catch (error) {
    const why = `messages compressed with ${codec} cannot be read on this machine (${(error as Error).message})`;
    throw new UnavailableError(
      `${why}; set compression.type of the topic, or of its producer, to zstd, gzip or none`,
      { cause: error },
    );
  }
}

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

const readBlock = async (block: Buffer): Promise<Buffer> => {
  const { uncompress } = await load('snappy', () => import('snappy'));
  return Buffer.from(await uncompress(block, { asBuffer: true }));
};

const snappy: Codec = {
  compress: async ({ buffer }) =>
    await (await load('snappy', () => import('snappy'))).compress(buffer),
  decompress: readSnappy,
};

const loadLz4 = () => load('lz4', () => import('lz4-napi'));

const lz4: Codec = {
  compress: async ({ buffer }) => await (await loadLz4()).compressFrame(buffer),
  decompress: async (bytes) => await (await loadLz4()).decompressFrame(bytes),
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
