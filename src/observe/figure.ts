import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A figure that somebody else has to be asked for, who may never answer. One question is out at a
 * time, whoever wants to know.
 */
export class Figure<T> {
  readonly #ask: () => Promise<T>;
  readonly #limitMs: number;
  #asked: Promise<T> | null = null;

  constructor(ask: () => Promise<T>, limitMs: number) {
    this.#ask = ask;
    this.#limitMs = limitMs;
  }

  /** The figure as it is now, or null where it isn't known within the limit. Never rejects. */
  async read(): Promise<T | null> {
    this.#asked ??= this.#ask().finally(() => (this.#asked = null));
    const over = new AbortController();
    const late = sleep(this.#limitMs, null, { signal: over.signal }).catch(() => null);
    try {
      return await Promise.race([this.#asked.catch(() => null), late]);
    } finally {
      over.abort();
    }
  }
}
