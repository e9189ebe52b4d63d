import cliProgress, { type SingleBar } from 'cli-progress';

const LINE_EVERY_MS = 10_000;

/** How far long work is: a bar on a terminal, a line now and then in a pipe; both on stderr. */
export class Progress implements Disposable {
  readonly #bar: SingleBar | null;
  readonly #total: number;
  readonly #what: string;
  readonly #startedMs: number;
  #done = 0;
  #lineAtMs: number;

  constructor(what: string, total: number) {
    this.#what = what;
    this.#total = total;
    this.#startedMs = performance.now();
    this.#lineAtMs = this.#startedMs + LINE_EVERY_MS;
    this.#bar = process.stderr.isTTY ? this.#openBar() : null;
  }

  set(done: number): void {
    this.#done = done;
    if (this.#bar !== null)
      return this.#bar.update(done, { rate: this.#rate().toFixed(0), left: this.#left() });
    if (performance.now() < this.#lineAtMs) return;
    this.#lineAtMs = performance.now() + LINE_EVERY_MS;
    process.stderr.write(`${this.#line()}\n`);
  }

  [Symbol.dispose](): void {
    this.#bar?.stop();
  }

  #openBar(): SingleBar {
    const format = `{bar} {value}/{total} ${this.#what} | {rate}/s | {left}`;
    const options = { format, hideCursor: true, stream: process.stderr, barsize: 30, fps: 5 };
    const bar = new cliProgress.SingleBar(options, cliProgress.Presets.rect);
    bar.start(this.#total, 0, { rate: '0', left: '' });
    return bar;
  }

  #rate(): number {
    const seconds = (performance.now() - this.#startedMs) / 1000;
    return seconds > 0 ? this.#done / seconds : 0;
  }

  #line(): string {
    return `${this.#done}/${this.#total} ${this.#what}, ${this.#rate().toFixed(0)}/s, ${this.#left()}`;
  }

  #left(): string {
    const rate = this.#rate();
    if (this.#done >= this.#total) return 'done';
    return rate > 0 ? `${Math.ceil((this.#total - this.#done) / rate)} s left` : 'waiting';
  }
}
