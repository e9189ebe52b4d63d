const SMALLEST_BYTES = 4 * 1024;
/** A larger one is one record's, and is not kept. */
const LARGEST_BYTES = 1024 * 1024;
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Buffers that batches are written into, used again: each new one is memory outside of the heap,
 * and so many of them would keep the garbage collector busy.
 */
export class BufferPool {
  /** By size, a power of two. */
  readonly #free = new Map<number, Buffer[]>();
  #keptBytes = 0;

  /** One of at least so many bytes, with anything in it. */
  take(bytes: number): Buffer {
    const size = sizeFor(bytes);
    const buffer = this.#free.get(size)?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(Math.max(size, bytes));
    this.#keptBytes -= size;
    return buffer;
  }

  /** Nobody may use it any more. */
  giveBack(buffer: Buffer): void {
    const size = buffer.length;
    if (size !== sizeFor(size) || this.#keptBytes + size > KEPT_BYTES_MAX) return;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else free.push(buffer);
    this.#keptBytes += size;
  }
}

/** The power of two that holds so many bytes, within the bounds of what is kept. */
function sizeFor(bytes: number): number {
  let size = SMALLEST_BYTES;
  while (size < bytes && size < LARGEST_BYTES) size *= 2;
  return size;
}
