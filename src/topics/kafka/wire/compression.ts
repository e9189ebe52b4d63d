import { promisify } from 'node:util';
import { constants, gzip, zstdCompress } from 'node:zlib';
import type { KafkaCompression } from '../../../settings/types.ts';

/** Compresses the records of a batch, beside the event loop. */
export interface Compressor {
  /** Its number in Kafka's protocol (batch attributes, bits 0 to 2). */
  codec: number;
  compress(records: Uint8Array): Promise<Uint8Array>;
}

const ZSTD_LEVEL = 1;

/** null: records go as they are. */
export function compressorFor(compression: KafkaCompression): Compressor | null {
  switch (compression) {
    case 'none':
      return null;
    case 'gzip': {
      const compress = promisify(gzip);
      return { codec: 1, compress: (records) => compress(records) };
    }
    case 'zstd': {
      const compress = promisify(zstdCompress);
      const params = { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
      return { codec: 4, compress: (records) => compress(records, { params }) };
    }
  }
}
