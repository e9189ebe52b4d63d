import cliProgress, { type MultiBar } from 'cli-progress';

const REDRAWS_PER_SECOND = 5;

export interface ScreenStream extends NodeJS.WritableStream {
  isTTY?: boolean;
  columns?: number;
}

/**
 * A terminal on which lines scroll by above one line that stays below them: a progress bar, or how a
 * stream is doing. Whole lines are given to `write`; none of them is cut, and none cuts the one below.
 */
export class Screen {
  readonly #stream: ScreenStream;
  #bars: MultiBar | null = null;

  constructor(stream: ScreenStream) {
    this.#stream = stream;
  }

  /** How wide the line below may be. */
  get columns(): number {
    return (this.#stream.columns ?? 80) - 1;
  }

  /** Lines, each with its line break. */
  write(lines: string): void {
    if (this.#bars === null) return void this.#stream.write(lines);
    this.#bars.log(lines);
    // At once: whatever ends the program next, the line was written.
    this.#bars.update();
  }

  /**
   * Shows a line below until it is disposed of; `text` is asked some times a second. `stays`: its
   * last text remains. One at a time.
   */
  show(text: () => string, stays: boolean): Disposable {
    const bars = new cliProgress.MultiBar({
      stream: this.#stream,
      format: () => text().slice(0, this.columns),
      fps: REDRAWS_PER_SECOND,
      clearOnComplete: !stays,
      forceRedraw: true,
      linewrap: true,
      hideCursor: false,
      gracefulExit: false,
    });
    bars.create(1, 0);
    this.#bars = bars;
    return {
      [Symbol.dispose]: () => {
        if (this.#bars !== bars) return;
        this.#bars = null;
        bars.stop();
      },
    };
  }
}
