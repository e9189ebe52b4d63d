import type { Position } from '../group-position.ts';
import type { Reach } from './watch.ts';

const SENT_BACK_MAX = 3;

/** By partition (`topic/partition`), how far the current assignment was read. */
export class Reading {
  /** The offset to go on from: committed, or after the last one handed over. */
  readonly #next = new Map<string, number>();
  /** How far kafkajs got past what it shows nobody (control records). */
  readonly #passed = new Map<string, number>();
  /** How often in a row it was sent back. */
  readonly #sentBack = new Map<string, number>();

  clear(): void {
    this.#next.clear();
    this.#passed.clear();
    this.#sentBack.clear();
  }

  /** Where the group is, for partitions of which nothing was read yet. */
  begin(key: string, { saved, low, high }: Position): void {
    if (!this.#next.has(key)) this.#next.set(key, saved > high ? low : Math.max(saved, low));
  }

  expected(key: string): number | undefined {
    return this.#next.get(key);
  }

  took(key: string, lastOffset: number): void {
    this.#sentBack.delete(key);
    this.#next.set(key, lastOffset + 1);
  }

  passed(key: string, lastOffset: number): void {
    this.#passed.set(key, Math.max(this.#passed.get(key) ?? 0, lastOffset + 1));
  }

  /** Counts; not for ever. */
  isToGoBack(key: string): boolean {
    const times = (this.#sentBack.get(key) ?? 0) + 1;
    this.#sentBack.set(key, times);
    return times <= SENT_BACK_MAX;
  }

  reach(key: string, end: number): Reach | null {
    const next = this.#next.get(key);
    return next === undefined
      ? null
      : { key, next: Math.max(next, this.#passed.get(key) ?? 0), end };
  }
}
