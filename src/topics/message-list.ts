import { decodeHeaders } from './batch/headers.ts';
import type { OutgoingBatch, OutgoingMessage, ValueWriter } from './port.ts';

/** What a message takes beside its value, about. */
const MESSAGE_BYTES = 200;

/** Messages as objects, in the order of their pushes: where they are looked at before they go. */
export class MessageList implements OutgoingBatch {
  readonly messages: OutgoingMessage[] = [];
  #bytes = 0;

  get count(): number {
    return this.messages.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(message: OutgoingMessage): void {
    this.messages.push(message);
    this.#bytes += bytesOf(message);
  }

  pushWritten(
    topic: string,
    key: number | string,
    value: ValueWriter,
    timestampMs: number,
    headers: Uint8Array,
  ): void {
    const target = Buffer.allocUnsafe(value.bytesMax());
    const text = target.toString('utf8', 0, value.write(target, 0));
    this.push({
      topic,
      key: String(key),
      value: text,
      timestampMs,
      headers: decodeHeaders(headers),
    });
  }

  settle(): void {}

  cut(count: number): MessageList {
    const rest = new MessageList();
    for (const message of this.messages.splice(count)) {
      this.#bytes -= bytesOf(message);
      rest.push(message);
    }
    return rest;
  }
}

const bytesOf = ({ value }: OutgoingMessage): number => value.length + MESSAGE_BYTES;
