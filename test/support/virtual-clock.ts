import { setImmediate as turn } from 'node:timers/promises';
import type { Clock, Timer } from '../../src/model/clock.ts';

interface Due {
  atMs: number;
  /** Timers of one moment run in the order in which they were set. */
  seq: number;
  /** null: it was cancelled. */
  run: (() => void) | null;
}

const isBefore = (a: Due, b: Due): boolean => (a.atMs === b.atMs ? a.seq < b.seq : a.atMs < b.atMs);

/** A clock that moves only while it is told to: a day passes as fast as what is due in it runs. */
export class VirtualClock implements Clock {
  readonly #epochMs: number;
  /** A heap: each before the two that it has below it. */
  readonly #due: Due[] = [];
  #nowMs = 0;
  #seq = 0;

  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#epochMs = epochMs;
  }

  now(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return Math.floor(this.#epochMs + this.#nowMs);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const abort = (): void => {
        timer.cancel();
        reject(signal?.reason as Error);
      };
      const timer = this.timer(ms, () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  timer(ms: number, run: () => void): Timer {
    this.#seq += 1;
    const due: Due = { atMs: this.#nowMs + Math.max(0, ms), seq: this.#seq, run };
    this.#push(due);
    return { cancel: () => (due.run = null) };
  }

  /** Runs what is due until then. What a timer sets off comes to rest before the next one runs. */
  async run(untilMs: number): Promise<void> {
    await turn();
    for (let next = this.#due[0]; next !== undefined && next.atMs <= untilMs; next = this.#due[0]) {
      await this.#runNext();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Time passes until the promise is settled. @throws where it is not after so long. */
  async settled<T>(promise: PromiseLike<T>, msMax = 600_000): Promise<T> {
    const state = { isSettled: false };
    const settle = (): void => void (state.isSettled = true);
    promise.then(settle, settle);
    const endMs = this.#nowMs + msMax;
    await turn();
    while (!state.isSettled) {
      const [next] = this.#due;
      if (next === undefined || next.atMs > endMs) throw new Error(`waited ${msMax} ms in vain`);
      await this.#runNext();
    }
    return await promise;
  }

  async #runNext(): Promise<void> {
    const next = this.#pop();
    if (next === undefined || next.run === null) return;
    this.#nowMs = next.atMs;
    next.run();
    await turn();
  }

  #push(due: Due): void {
    const heap = this.#due;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = heap[above]!;
      if (isBefore(other, due)) break;
      heap[at] = other;
      at = above;
    }
    heap[at] = due;
  }

  #pop(): Due | undefined {
    const heap = this.#due;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || last === first) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below += 1;
      const other = heap[below]!;
      if (isBefore(last, other)) break;
      heap[at] = other;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}
