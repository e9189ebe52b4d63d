import { addressOf } from '../deliver/address-order.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';

/** What is sent again at most after a crash, and what is held in memory: pages of 1,000 users. */
const PAGES_MAX = 12;
/** Of those, how many may be before the end of users/bulkUpdate: enough for answers of a second. */
const UPDATES_MAX = 6;

/** Sends one page; `onUpdated` is told when its first kind of call is through. */
export type SendPage = (page: readonly EligibleUser[], onUpdated: () => void) => Promise<void>;

interface PageUnderWay {
  addresses: ReadonlySet<string>;
  isUpdated: boolean;
}

/**
 * Several pages under way at a time, begun in their order: while one is at its events, the next is
 * at its profiles, and the one after that is read. Pages must not share a user. Where two share an
 * e-mail address, the later one begins when the earlier one is through, so that the calls for an
 * address keep the order of the users.
 */
export class BulkPipeline {
  readonly #send: SendPage;
  readonly #pages = new Set<PageUnderWay>();
  #failure: { error: unknown } | null = null;
  #moved = Promise.withResolvers<void>();

  constructor(send: SendPage) {
    this.#send = send;
  }

  /** Resolves when the page has begun. @throws what sending one of the pages has thrown. */
  async begin(page: readonly EligibleUser[]): Promise<void> {
    const addresses = new Set(page.flatMap((user) => addressOf(user) ?? []));
    await this.#until(() => this.#hasRoom() && !this.#isBusy(addresses));
    void this.#sendAll({ addresses, isUpdated: false }, page);
  }

  /** Resolves when every page is through. @throws what sending one of them has thrown. */
  async idle(): Promise<void> {
    await this.#until(() => this.#pages.size === 0);
  }

  async #sendAll(underWay: PageUnderWay, page: readonly EligibleUser[]): Promise<void> {
    this.#pages.add(underWay);
    try {
      await this.#send(page, () => {
        underWay.isUpdated = true;
        this.#wake();
      });
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#pages.delete(underWay);
      this.#wake();
    }
  }

  #hasRoom(): boolean {
    const updating = [...this.#pages].filter(({ isUpdated }) => !isUpdated);
    return this.#pages.size < PAGES_MAX && updating.length < UPDATES_MAX;
  }

  #isBusy(addresses: ReadonlySet<string>): boolean {
    const one = [...addresses];
    return [...this.#pages].some((page) => one.some((address) => page.addresses.has(address)));
  }

  async #until(isSo: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure.error;
      if (isSo()) return;
      await this.#moved.promise;
    }
  }

  #wake(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }
}
