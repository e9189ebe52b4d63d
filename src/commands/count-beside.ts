import type { Logger } from '../observe/logger.ts';
import type { Rule } from '../rule/rule.ts';

const PAGE_CUSTOMERS = 20_000;

export interface CountOptions {
  rule: Rule;
  afterId: string;
  /** At most so many are sent; null for all. */
  limit: number | null;
  /** Told once how many there are. */
  onTotal: (total: number) => void;
  logger: Logger;
}

/** Counts the eligible users beside the sending, which begins without it and does not wait for it. */
export class CountBeside implements Disposable {
  readonly #options: CountOptions;
  readonly #limit: number;
  #counted = 0;
  #isWhole = false;
  #isOver = false;

  constructor(options: CountOptions) {
    this.#options = options;
    this.#limit = options.limit ?? Number.POSITIVE_INFINITY;
    void this.#run();
  }

  /** How many are left after so many; a sentence where that is not counted yet. */
  leftAfter(processed: number): number | string {
    const left = Math.max(0, Math.min(this.#counted, this.#limit) - processed);
    if (this.#isWhole) return left;
    return left > 0 ? `at least ${left}` : 'not counted';
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
  }

  /** Never rejects: nothing but what is shown depends on it. */
  async #run(): Promise<void> {
    const { rule, afterId, onTotal, logger } = this.#options;
    try {
      for await (const count of rule.counts(PAGE_CUSTOMERS, afterId)) {
        if (this.#isOver) return;
        this.#counted += count;
        if (this.#counted >= this.#limit) break;
      }
      if (this.#isOver) return;
      this.#isWhole = true;
      onTotal(Math.min(this.#counted, this.#limit));
    } catch (error) {
      logger.debug({ err: error }, 'how many there are could not be counted');
    }
  }
}
