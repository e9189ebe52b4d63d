/** An event's bytes contradict themselves: nothing of it is to be believed. */
export class CorruptEventError extends Error {
  override readonly name = 'CorruptEventError';

  constructor(what: string) {
    super(`an event of the binlog is damaged: ${what}`);
  }
}

/** Reads little-endian fields one after the other. Each throws CorruptEventError before the end. */
export class ByteReader {
  at: number;
  readonly end: number;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, start: number, end: number) {
    if (!(start >= 0 && start <= end && end <= bytes.length)) {
      throw new CorruptEventError('it is shorter than its header');
    }
    this.#bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** 1 to 6 bytes. */
  uint(length: number): number {
    return this.#bytes.readUIntLE(this.#advance(length), length);
  }

  /** The protocol's length-encoded integer, up to 2^32. */
  lengthCoded(): number {
    const first = this.uint(1);
    if (first < 251) return first;
    if (first === 252) return this.uint(2);
    if (first === 253) return this.uint(3);
    if (first !== 254) throw new CorruptEventError('a number has no length');
    const low = this.uint(4);
    if (this.uint(4) !== 0) throw new CorruptEventError('a number is out of range');
    return low;
  }

  /** The bytes themselves, no copy. */
  bytes(length: number): Buffer {
    const from = this.#advance(length);
    return this.#bytes.subarray(from, from + length);
  }

  text(length: number): string {
    const from = this.#advance(length);
    return this.#bytes.toString('utf8', from, from + length);
  }

  /** A reader of the next `length` bytes alone, which this one passes over. */
  part(length: number): ByteReader {
    const from = this.#advance(length);
    return new ByteReader(this.#bytes, from, from + length);
  }

  skip(length: number): void {
    this.#advance(length);
  }

  #advance(length: number): number {
    const from = this.at;
    if (!(length >= 0 && from + length <= this.end)) {
      throw new CorruptEventError('a field goes past its end');
    }
    this.at = from + length;
    return from;
  }
}
