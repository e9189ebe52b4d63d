import type { ReceivedMessage, TopicPartition } from '../port.ts';

/** id, time, key, value, headers. */
export type StoredRow = readonly [number, number, string | null, string | null, string];

/** A row of the log. Its headers are read when they are asked for: most messages are passed over. */
export class StoredMessage implements ReceivedMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly timestampMs: number;
  readonly #headers: string;

  /** `base` is the id of the partition's offset 0. */
  constructor({ topic, partition }: TopicPartition, base: number, row: StoredRow) {
    this.topic = topic;
    this.partition = partition;
    this.offset = row[0] - base;
    this.timestampMs = row[1];
    this.key = row[2];
    this.value = row[3];
    this.#headers = row[4];
  }

  get headers(): Record<string, string> {
    return JSON.parse(this.#headers) as Record<string, string>;
  }
}
