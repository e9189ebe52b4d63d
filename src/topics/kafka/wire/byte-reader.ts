/** Reads the fields of Kafka's answers, one after the other. @throws RangeError past the end. */
export class ByteReader {
  readonly #from: Buffer;
  #at = 0;

  constructor(from: Buffer) {
    this.#from = from;
  }

  int16(): number {
    this.#at += 2;
    return this.#from.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#from.readInt32BE(this.#at - 4);
  }

  int64(): bigint {
    this.#at += 8;
    return this.#from.readBigInt64BE(this.#at - 8);
  }

  string(): string {
    return this.#take(this.int16()).toString('utf8');
  }

  /** A view; empty for null. */
  bytes(): Buffer {
    return this.#take(this.int32());
  }

  array<T>(one: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, one);
  }

  #take(length: number): Buffer {
    const start = this.#at;
    this.#at += Math.max(0, length);
    if (this.#at > this.#from.length) throw new RangeError('an answer that ends too early');
    return this.#from.subarray(start, this.#at);
  }
}
