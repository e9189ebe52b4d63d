import type { EachBatchPayload, IHeaders } from 'kafkajs';
import type { ReceivedMessage, TopicPartition } from '../port.ts';

function text(value: unknown): string {
  if (Array.isArray(value)) return text(value[0]);
  return Buffer.isBuffer(value) ? value.toString('utf8') : String(value);
}

function headersOf(headers: IHeaders | undefined): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (value !== undefined) result[name] = text(value);
  }
  return result;
}

/** A record as kafkajs decodes it. */
interface KafkajsRecord {
  offset: string;
  key: Buffer | null;
  value: Buffer | null;
  timestamp: string;
  headers?: IHeaders;
}

/** A record of kafkajs as our message. Offsets are numbers: 2^53 messages are far away. */
export function receivedMessage(
  { topic, partition }: TopicPartition,
  { offset, key, value, timestamp, headers }: KafkajsRecord,
): ReceivedMessage {
  return {
    topic,
    partition,
    offset: Number(offset),
    key: key === null ? null : key.toString('utf8'),
    value: value === null ? null : value.toString('utf8'),
    timestampMs: Number(timestamp),
    headers: headersOf(headers),
  };
}

/** A batch of kafkajs as our messages. */
export function receivedMessages({ batch }: Pick<EachBatchPayload, 'batch'>): ReceivedMessage[] {
  return batch.messages.map((message) => receivedMessage(batch, message));
}

/** The offset that a batch was asked for with; kafkajs has it, its types don't (consumer/batch.js). */
export function askedOffset(batch: EachBatchPayload['batch']): number {
  return Number((batch as unknown as { fetchedOffset: string }).fetchedOffset);
}
