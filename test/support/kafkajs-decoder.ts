import { createRequire } from 'node:module';
import type { FetchAnswer } from '../../src/topics/kafka/wire/brokers.ts';
import type { ReceivedMessage } from '../../src/topics/port.ts';
import { kafkajsInside } from '../../src/topics/kafka/wire/inside.ts';
import { readBatches } from '../../src/topics/kafka/wire/records.ts';

/** kafkajs' records, as its decoder gives them. */
export interface DecodedRecord {
  offset: string;
  timestamp: string;
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, Buffer | string | (Buffer | string)[] | undefined>;
}

const decodeBatch = createRequire(import.meta.url)(
  'kafkajs/src/protocol/recordBatch/v0/decoder.js',
) as (decoder: object) => Promise<{ records: DecodedRecord[] }>;

/** What kafkajs' own decoder reads in one batch. */
export async function decodeWithKafkajs(sealed: Buffer): Promise<DecodedRecord[]> {
  const inside = kafkajsInside();
  return (await decodeBatch(new inside.Decoder(sealed))).records;
}

/** An answer with these bytes. */
export const answerOf = (records: Buffer, aborted: FetchAnswer['aborted'] = []): FetchAnswer => ({
  topic: 't',
  partition: 0,
  errorCode: 0,
  highWatermark: 0,
  end: 0,
  aborted,
  records,
});

/** What a reader makes of an answer with these bytes. */
export async function readWhole(
  records: Buffer,
  aborted: FetchAnswer['aborted'] = [],
): Promise<{ nextOffset: number; messages: ReceivedMessage[] }[]> {
  const batches = [];
  for await (const batch of readBatches(kafkajsInside(), answerOf(records, aborted))) {
    batches.push({ nextOffset: batch.nextOffset, messages: batch.messages() });
  }
  return batches;
}
