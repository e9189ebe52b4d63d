import { type DecodedRecord, kafkajsInside } from '../../src/topics/kafka/wire/inside.ts';
import { readBatches } from '../../src/topics/kafka/wire/records.ts';

/** What kafkajs' own decoder reads in one batch. */
export async function decodeWithKafkajs(sealed: Buffer): Promise<DecodedRecord[]> {
  const inside = kafkajsInside();
  return (await inside.decodeBatch(new inside.Decoder(sealed))).records;
}

/** What a reader makes of an answer with these bytes. */
export async function readWhole(
  records: Buffer,
  aborted: { producerId: bigint; firstOffset: number }[] = [],
) {
  const batches = [];
  const answer = { topic: 't', partition: 0, errorCode: 0, end: 0, aborted, records };
  for await (const batch of readBatches(kafkajsInside(), answer)) batches.push(batch);
  return batches;
}
