import cliProgress from 'cli-progress';
import type { Logger } from '../observe/logger.ts';
import type { Screen } from '../observe/screen.ts';

const LINE_EVERY_MS = 10_000;
const BAR_CHARS_MAX = 30;
const BAR_CHARS_MIN = 5;
/** The rate is that of the last seconds: what is left is not judged by an outage an hour ago. */
const RATE_OVER_MS = 15_000;

export interface ProgressOptions {
  what: string;
  /** How many are done; never less than before. */
  done: () => number;
  /** null: no terminal, so a line now and then. */
  screen: Screen | null;
  logger: Logger;
}

export interface ProgressNow {
  what: string;
  done: number;
  /** null while it is not known. */
  total: number | null;
  perSecond: number;
}

/** `5004 users, 26/s, 3 min left`, with what is known. */
export function progressText({ what, done, total, perSecond }: ProgressNow): string {
  const count = total === null ? `${done} ${what}` : `${done}/${total} ${what}`;
  const text = `${count}, ${perSecond.toFixed(0)}/s`;
  return total === null ? text : `${text}, ${timeLeft(total - done, perSecond)}`;
}

/** The same behind a bar; not wider than `columns`. */
export function progressBar(now: ProgressNow, columns: number): string {
  const text = progressText(now);
  const chars = Math.min(BAR_CHARS_MAX, columns - text.length - 1);
  if (now.total === null || chars < BAR_CHARS_MIN) return text;
  const { barCompleteChar, barIncompleteChar } = cliProgress.Presets.rect;
  const part = now.total === 0 ? 1 : Math.min(1, now.done / now.total);
  const full = Math.floor(part * chars);
  return `${(barCompleteChar ?? '#').repeat(full)}${(barIncompleteChar ?? '.').repeat(chars - full)} ${text}`;
}

function timeLeft(items: number, perSecond: number): string {
  if (items <= 0) return 'done';
  const seconds = Math.ceil(items / perSecond);
  if (!Number.isFinite(seconds)) return 'waiting';
  if (seconds < 120) return `${seconds} s left`;
  if (seconds < 7_200) return `${Math.ceil(seconds / 60)} min left`;
  return `${Math.ceil(seconds / 3_600)} h left`;
}

/**
 * How far long work is: a bar below the log on a terminal, a line in the log now and then elsewhere.
 * Until `setTotal`, it says how much is done, and nothing of how much there is.
 */
export class Progress implements Disposable {
  readonly #options: ProgressOptions;
  readonly #line: Disposable | null;
  readonly #lines: NodeJS.Timeout | null;
  #total: number | null = null;
  #samples: { atMs: number; done: number }[] = [{ atMs: performance.now(), done: 0 }];

  constructor(options: ProgressOptions) {
    const { screen } = options;
    this.#options = options;
    this.#line = screen?.show(() => progressBar(this.#now(), screen.columns), true) ?? null;
    this.#lines = screen === null ? setInterval(() => this.#log(), LINE_EVERY_MS) : null;
  }

  setTotal(total: number): void {
    this.#total = total;
  }

  [Symbol.dispose](): void {
    this.#line?.[Symbol.dispose]();
    if (this.#lines !== null) clearInterval(this.#lines);
  }

  #now(): ProgressNow {
    const done = this.#options.done();
    const atMs = performance.now();
    this.#samples.push({ atMs, done });
    // The newest of those that are too old is where the time begins.
    while ((this.#samples[1]?.atMs ?? atMs) < atMs - RATE_OVER_MS) this.#samples.shift();
    const [from] = this.#samples;
    const ms = atMs - (from?.atMs ?? atMs);
    const perSecond = ms > 0 ? ((done - (from?.done ?? 0)) * 1000) / ms : 0;
    return { what: this.#options.what, done, total: this.#total, perSecond };
  }

  #log(): void {
    const now = this.#now();
    const { done, total, perSecond } = now;
    const fields = {
      done,
      ...(total === null ? {} : { total }),
      per_second: Math.round(perSecond),
    };
    this.#options.logger.info(fields, progressText(now));
  }
}
