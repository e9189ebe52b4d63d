const WINDOW_MS = 1_000;
const TICK_MS = 2;

/**
 * When calls arrived, as far as this process can tell: on a busy machine it is held up itself, and
 * then sees at once what came one after the other. Each call came after the last but one turn of the
 * event loop before it was seen.
 */
export class Arrivals implements Disposable {
  readonly #now: () => number;
  readonly #spans: { fromMs: number; toMs: number }[] = [];
  readonly #timer: NodeJS.Timeout;
  #turnMs: number;
  #turnBeforeMs: number;

  constructor(now = (): number => performance.now()) {
    this.#now = now;
    this.#turnMs = now();
    this.#turnBeforeMs = this.#turnMs;
    this.#timer = setInterval(() => this.turn(), TICK_MS);
  }

  get count(): number {
    return this.#spans.length;
  }

  turn(): void {
    this.#turnBeforeMs = this.#turnMs;
    this.#turnMs = this.#now();
  }

  note(): void {
    this.#spans.push({ fromMs: this.#turnBeforeMs, toMs: this.#now() });
  }

  /** The most calls that certainly arrived within one second, however it is laid. */
  peak(): number {
    let most = 0;
    let first = 0;
    for (const [last, { toMs }] of this.#spans.entries()) {
      while (toMs - (this.#spans[first]?.fromMs ?? toMs) >= WINDOW_MS) first += 1;
      most = Math.max(most, last - first + 1);
    }
    return most;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
