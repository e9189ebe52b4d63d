const SIZE_BYTES = 4;

/**
 * Puts a stream of Kafka's responses (a size of four bytes, then so many bytes) together again.
 */
export class Frames {
  #chunks: Buffer[] = [];
  #held = 0;
  #needed = SIZE_BYTES;

  /**
   * The bytes of all responses that are whole now, or null; what is left waits for more.
   * @throws RangeError where the size makes no sense.
   */
  take(chunk: Buffer): Buffer | null {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#needed) return null;
    const all = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    let end = 0;
    this.#needed = SIZE_BYTES;
    while (all.length - end >= SIZE_BYTES) {
      const size = all.readInt32BE(end);
      if (size < 0) throw new RangeError(`a response of ${size} bytes`);
      if (all.length - end < SIZE_BYTES + size) {
        this.#needed = SIZE_BYTES + size;
        break;
      }
      end += SIZE_BYTES + size;
    }
    this.#chunks = end === all.length ? [] : [all.subarray(end)];
    this.#held = all.length - end;
    return end === 0 ? null : all.subarray(0, end);
  }
}
