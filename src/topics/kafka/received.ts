import type { EachBatchPayload, IHeaders } from 'kafkajs';
import type { ReceivedMessage } from '../port.ts';

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

/** A batch of kafkajs as our messages. Offsets are numbers: 2^53 messages are far away. */
export function receivedMessages({ batch }: Pick<EachBatchPayload, 'batch'>): ReceivedMessage[] {
  return batch.messages.map((message) => ({
    topic: batch.topic,
    partition: batch.partition,
    offset: Number(message.offset),
    key: message.key === null ? null : message.key.toString('utf8'),
    value: message.value === null ? null : message.value.toString('utf8'),
    timestampMs: Number(message.timestamp),
    headers: headersOf(message.headers),
  }));
}
