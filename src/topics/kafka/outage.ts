import type { Logger } from '../../observe/logger.ts';

/** A leader that moves is away for less: no word is made of it. */
const PASSING_MS_MAX = 1_000;
const REPEAT_MS = 60_000;

/** Says an outage once when it begins, once a minute while it lasts, and once when it ends. */
export class Outage {
  readonly #logger: Logger;
  #sinceMs: number | null = null;
  #saidMs: number | null = null;
  /** What somebody has to do about it was said so. */
  #advised: string | null = null;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * It did not work. `isPassing`: it may be over in a moment; else somebody has to do what the
   * sentence says, and it is said at once.
   */
  failed(sentence: string, isPassing: boolean): void {
    const now = performance.now();
    this.#sinceMs ??= now;
    const lastedMs = now - this.#sinceMs;
    const isNews = !isPassing && sentence !== this.#advised;
    const isDue =
      this.#saidMs === null ? lastedMs >= PASSING_MS_MAX : now - this.#saidMs >= REPEAT_MS;
    if (!isNews && !isDue) return;
    const since = this.#saidMs === null ? '' : ` (for ${Math.round(lastedMs / 1000)} s)`;
    this.#saidMs = now;
    if (!isPassing) this.#advised = sentence;
    this.#logger.warn(`${sentence}${since}`);
  }

  /** It works; `sentence` is said where the outage was. */
  over(sentence: string): void {
    if (this.#saidMs !== null) this.#logger.info(sentence);
    this.#sinceMs = null;
    this.#saidMs = null;
    this.#advised = null;
  }
}
