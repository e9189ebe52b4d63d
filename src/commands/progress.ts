import cliProgress, { type SingleBar } from 'cli-progress';

const LINE_EVERY_MS = 10_000;
const BAR_CHARS = 30;

/**
 * How far long work is: a bar on a terminal, a line now and then in a pipe; both on stderr. Until
 * `setTotal`, they say how much is done, and nothing of how much there is.
 */
export class Progress implements Disposable {
  readonly #bar: SingleBar | null;
  readonly #what: string;
  readonly #startedMs: number;
  #total: number | null = null;
  #done = 0;
  #lineAtMs: number;

  constructor(what: string) {
    this.#what = what;
    this.#startedMs = performance.now();
    this.#lineAtMs = this.#startedMs + LINE_EVERY_MS;
    this.#bar = process.stderr.isTTY ? this.#openBar() : null;
  }

  set(done: number): void {
    this.#done = done;
    if (this.#bar !== null) return this.#bar.update(done);
    if (performance.now() < this.#lineAtMs) return;
    this.#lineAtMs = performance.now() + LINE_EVERY_MS;
    process.stderr.write(`${this.#line()}\n`);
  }

  setTotal(total: number): void {
    this.#total = total;
    this.#bar?.setTotal(total);
  }

  [Symbol.dispose](): void {
    this.#bar?.stop();
  }

  #openBar(): SingleBar {
    const { barCompleteChar, barIncompleteChar } = cliProgress.Presets.rect;
    const format: cliProgress.GenericFormatter = (_options, { progress }) => {
      if (this.#total === null) return this.#line();
      const full = Math.round(Math.min(1, progress) * BAR_CHARS);
      const bar =
        (barCompleteChar ?? '').repeat(full) + (barIncompleteChar ?? '').repeat(BAR_CHARS - full);
      return `${bar} ${this.#line()}`;
    };
    const bar = new cliProgress.SingleBar({
      format,
      hideCursor: true,
      stream: process.stderr,
      fps: 5,
    });
    bar.start(0, 0);
    return bar;
  }

  #rate(): number {
    const seconds = (performance.now() - this.#startedMs) / 1000;
    return seconds > 0 ? this.#done / seconds : 0;
  }

  #line(): string {
    const rate = this.#rate();
    const done = this.#total === null ? this.#done : `${this.#done}/${this.#total}`;
    const line = `${done} ${this.#what}, ${rate.toFixed(0)}/s`;
    return this.#total === null ? line : `${line}, ${left(this.#total - this.#done, rate)}`;
  }
}

function left(items: number, rate: number): string {
  if (items <= 0) return 'done';
  return rate > 0 ? `${Math.ceil(items / rate)} s left` : 'waiting';
}
