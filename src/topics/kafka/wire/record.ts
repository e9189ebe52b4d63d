import { VarintReader } from '../../batch/varint.ts';
import type { ReceivedMessage, TopicPartition } from '../../port.ts';

/** Of all the records of a batch. */
export interface BatchBase extends TopicPartition {
  firstOffset: number;
  firstTimestampMs: number;
  /** Where the broker has set the time of all of them (LogAppendTime); else null. */
  appendedMs: number | null;
  count: number;
}

/**
 * A record where it lies in its batch: its texts are made when they are asked for, each time anew,
 * since most messages of a long backlog are passed over by one of them. It keeps all of its batch.
 * https://kafka.apache.org/documentation/#record
 */
export class KafkaRecord implements ReceivedMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly #bytes: Buffer;
  /** Where the length of its key stands. */
  readonly #at: number;
  readonly #end: number;

  constructor(
    { topic, partition }: TopicPartition,
    offset: number,
    timestampMs: number,
    bytes: Buffer,
    at: number,
    end: number,
  ) {
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.timestampMs = timestampMs;
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get key(): string | null {
    return this.#fields().text();
  }

  get value(): string | null {
    const fields = this.#fields();
    fields.skip();
    return fields.text();
  }

  /** Of a name that comes twice, the first; one without a value is left out. */
  get headers(): Record<string, string> {
    const fields = this.#fields();
    fields.skip();
    fields.skip();
    const from = fields.at;
    const all = this.#bytes.toString('latin1', from, this.#end);
    const headers: Record<string, string> = {};
    for (let left = fields.next(); left > 0; left -= 1) {
      const name = fields.textOf(all, from) ?? '';
      const value = fields.textOf(all, from);
      if (value !== null && !Object.hasOwn(headers, name)) headers[name] = value;
    }
    return headers;
  }

  #fields(): Fields {
    return new Fields(this.#bytes, this.#at);
  }
}

/** Reads fields with their length before them. @throws RangeError past the end. */
class Fields extends VarintReader {
  skip(): void {
    this.#end();
  }

  text(): string | null {
    const from = this.#end();
    return from < 0 ? null : this.from.toString('utf8', from, this.at);
  }

  /** The same, for short ones that lie side by side: taken out of `all`, their bytes from `start` on. */
  textOf(all: string, start: number): string | null {
    const from = this.#end();
    if (from < 0) return null;
    for (let at = from; at < this.at; at++) {
      if ((this.from[at] ?? 0) > 127) return this.from.toString('utf8', from, this.at);
    }
    return all.slice(from - start, this.at - start);
  }

  /** Moves behind the field; returns where it begins, -1 where it is null. */
  #end(): number {
    const length = this.next();
    if (length < 0) return -1;
    const from = this.at;
    this.at += length;
    if (this.at > this.from.length) throw new RangeError('a record that ends too early');
    return from;
  }
}

/** All records of a batch, uncompressed. @throws RangeError where the bytes are no such records. */
export function recordsOf(base: BatchBase, bytes: Buffer): KafkaRecord[] {
  const { firstOffset, firstTimestampMs, appendedMs, count } = base;
  const reader = new VarintReader(bytes, 0);
  const records: KafkaRecord[] = [];
  for (let i = 0; i < count; i++) {
    const length = reader.next();
    const end = reader.at + length;
    if (length < 0 || end > bytes.length) throw new RangeError('a record that ends too early');
    reader.at += 1; // Attributes, of which there are none.
    const timestampMs = firstTimestampMs + reader.next();
    const offset = firstOffset + reader.next();
    const timeMs = appendedMs ?? timestampMs;
    records.push(new KafkaRecord(base, offset, timeMs, bytes, reader.at, end));
    reader.at = end;
  }
  return records;
}
