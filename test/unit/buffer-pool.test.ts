import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../src/topics/batch/buffer-pool.ts';
import { RecordBatch } from '../../src/topics/batch/record-batch.ts';

const KEY = Buffer.from('7');
const NO_HEADERS = Buffer.from([0]);
const MEGABYTE = 1024 * 1024;

describe('buffers that are used again', () => {
  it('are of the size that is asked for, or the next power of two', () => {
    const pool = new BufferPool();
    for (const [bytes, size] of [
      [1, 4096],
      [4097, 8192],
      [MEGABYTE, MEGABYTE],
      [MEGABYTE + 1, MEGABYTE + 1],
    ] as const) {
      expect(pool.take(bytes)).toHaveLength(size);
    }
  });

  it('are given once for each time that they were given back', () => {
    const pool = new BufferPool();
    const buffer = pool.take(5000);
    pool.giveBack(buffer);
    expect(pool.take(6000)).toBe(buffer);
    expect(pool.take(6000)).not.toBe(buffer);
  });

  it('are not kept beyond 16 MB, nor where they are larger than a batch', () => {
    const pool = new BufferPool();
    const all = Array.from({ length: 20 }, () => pool.take(MEGABYTE));
    for (const buffer of all) pool.giveBack(buffer);
    const again = Array.from({ length: 20 }, () => pool.take(MEGABYTE));
    expect(again.filter((buffer) => all.includes(buffer))).toHaveLength(16);
    const large = pool.take(2 * MEGABYTE);
    pool.giveBack(large);
    expect(pool.take(2 * MEGABYTE) === large).toBe(false);
  });

  it("leave a batch's bytes alone until it is released", () => {
    const pool = new BufferPool();
    const stamp = { id: 1n, epoch: 0, sequence: 0 };
    const filled = (text: string): RecordBatch => {
      const batch = new RecordBatch(pool);
      for (let i = 0; i < 200; i += 1) batch.push(KEY, 1, text.repeat(50), 1_000, NO_HEADERS);
      return batch;
    };
    const first = filled('a');
    const sealed = first.seal(stamp);
    const asSent = Buffer.from(sealed);
    filled('b').release();
    filled('c');
    expect(sealed.equals(asSent)).toBe(true);
    first.release();
    filled('d');
    expect(sealed.equals(asSent)).toBe(false);
  });
});
