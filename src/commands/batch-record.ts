import { isKnownToSink } from '../deliver/delivery.ts';
import type { Delivery } from '../deliver/sink.ts';
import { ResultsFile } from './results-file.ts';
import { NO_TOTALS, type Summary, type Totals, withDelivery } from './totals.ts';

/**
 * What a batch has done: its totals, and the results file. A user that was sent counts once it was
 * looked at once more, so that one that is sent again then counts once.
 */
export class BatchRecord implements Disposable {
  readonly #results: ResultsFile;
  #totals: Totals = NO_TOTALS;
  readonly #unverified = new Map<string, Delivery>();

  /** @throws UsageError when the folder cannot be written. */
  constructor(resultsDir: string) {
    this.#results = new ResultsFile(resultsDir);
  }

  get totals(): Totals {
    return this.#totals;
  }

  /** Users who were sent, and are still to be looked at once more. */
  get unverified(): number {
    return this.#unverified.size;
  }

  /** Records that are not in the file yet. */
  get pending(): number {
    return this.#results.pending;
  }

  isUnverified(userId: string): boolean {
    return this.#unverified.has(userId);
  }

  /** It counts at once: nobody looks at the user again. */
  count(delivery: Delivery): void {
    this.#totals = withDelivery(this.#totals, delivery);
    this.#results.add(delivery);
  }

  /** It counts once it is verified. One whose first call was refused is not looked at once more. */
  sent(delivery: Delivery): void {
    const { userId } = delivery.user;
    this.#unverified.delete(userId);
    if (isKnownToSink(delivery)) this.#unverified.set(userId, delivery);
    else this.count(delivery);
  }

  /** The user was looked at once more, and nothing has changed. */
  verified(userId: string): void {
    const delivery = this.#unverified.get(userId);
    if (delivery === undefined) return;
    this.#unverified.delete(userId);
    this.count(delivery);
  }

  /** Nobody will look any more. */
  verifyAll(): void {
    for (const userId of this.#unverified.keys()) this.verified(userId);
  }

  /** @throws Error naming the folder when it cannot be written; what is left remains pending. */
  flush(): void {
    this.#results.flush(this.#totals);
  }

  summary(notAttempted: (processed: number) => number | string): Summary {
    const totals = this.#totals;
    return { totals, notAttempted: notAttempted(totals.processed), file: this.#results.path };
  }

  [Symbol.dispose](): void {
    this.#results[Symbol.dispose]();
  }
}
