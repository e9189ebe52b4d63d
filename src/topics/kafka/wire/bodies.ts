import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** A request begins with its size in four bytes, and its API key in two (kafka.apache.org/protocol). */
const SIZE_BYTES = 4;
const PRODUCE = 0;
const NUMBER_BYTES = 4;

/**
 * Bodies of Produce requests, past kafkajs, which would copy each of them into two zeroed buffers: it
 * writes a number that stands for the body, and the socket writes the body where the number was.
 */
export class Bodies {
  readonly #waiting = new Map<number, readonly Buffer[]>();
  #newest = 0;

  /** What kafkajs is to write. `parts` stay as they are until the answer. */
  put(parts: readonly Buffer[]): Buffer {
    this.#newest = (this.#newest + 1) % 2 ** 31;
    this.#waiting.set(this.#newest, parts);
    const number = Buffer.alloc(NUMBER_BYTES);
    number.writeInt32BE(this.#newest);
    return number;
  }

  /** No socket writes it any more. */
  forget(number: Buffer): void {
    this.#waiting.delete(number.readInt32BE());
  }

  /** From now on the body of every Produce request that is written to this socket is one of these. */
  attach(socket: Socket): void {
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
    const onward = Duplex.prototype.write.bind(socket) as (part: Buffer) => boolean;
    const whole = (...args: unknown[]): boolean => {
      const [chunk] = args;
      if (!Buffer.isBuffer(chunk) || chunk.readInt16BE(SIZE_BYTES) !== PRODUCE) {
        return write(...args);
      }
      const headBytes = chunk.length - NUMBER_BYTES;
      const parts = this.#waiting.get(chunk.readInt32BE(headBytes));
      if (parts === undefined) throw new Error('the request was given up');
      let bytes = headBytes - SIZE_BYTES;
      for (const part of parts) bytes += part.length;
      chunk.writeInt32BE(bytes, 0);
      // What belongs to a request that was begun is none of its own.
      socket.cork();
      let hasRoom = write(chunk.subarray(0, headBytes));
      for (const part of parts) hasRoom = onward(part);
      socket.uncork();
      return hasRoom;
    };
    Object.defineProperty(socket, 'write', { get: () => whole, set() {} });
  }
}
