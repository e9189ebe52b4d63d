import type { ReceivedMessage, TopicPartition } from '../../port.ts';
import type { DecodedMessage, Inside } from './inside.ts';

/** The message sets of before Kafka 0.11, which an old topic still holds, as kafkajs reads them. */
export async function oldMessages(
  inside: Inside,
  { topic, partition }: TopicPartition,
  bytes: Buffer,
): Promise<ReceivedMessage[]> {
  const all = await inside.decodeMessageSet(new inside.Decoder(bytes), bytes.length);
  return all.map(({ offset, key, value, timestamp }: DecodedMessage) => ({
    topic,
    partition,
    offset: Number(offset),
    key: key?.toString('utf8') ?? null,
    value: value?.toString('utf8') ?? null,
    timestampMs: Number(timestamp),
    headers: {},
  }));
}
