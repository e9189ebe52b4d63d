import type {
  Accepted,
  BulkDelivery,
  BulkSink,
  Call,
  Failure,
  Outcome,
} from '../../deliver/sink.ts';
import type { Clock } from '../../model/clock.ts';
import type { EligibleUser } from '../../rule/eligible-user.ts';
import { callSized, chunks } from './call-sized.ts';
import type { Caller } from './caller.ts';
import type { IterableCalls } from './calls.ts';
import {
  type Deliverable,
  REFUSED_UNSENT,
  USER_CALLS,
  type UserCall,
  hasUsableEmail,
} from './payloads.ts';
import {
  bulkFailCount,
  bulkFailures,
  bulkKey,
  disallowedEvents,
  itemOutcome,
} from './read-bulk.ts';

/** A bulk call that failed so often is halved: one of its users may be what fails it. */
const TRIES_MAX = 2;

/** What became of the users of a page so far. */
class Page {
  /** By user id, in the order of the calls. */
  readonly calls = new Map<string, Call[]>();
  /** Users whose call fails also when they are alone in it. */
  readonly failing = new Set<string>();
  /** Whether a call was answered: what has begun is brought to its end. */
  hasBegun = false;
  readonly #isWanted: () => boolean;

  constructor(isWanted: () => boolean) {
    this.#isWanted = isWanted;
  }

  isWanted = (): boolean => this.hasBegun || this.#isWanted();

  ended({ name }: UserCall, { userId }: Deliverable, outcome: Outcome): void {
    const calls = this.calls.get(userId);
    if (calls === undefined) this.calls.set(userId, [{ name, outcome }]);
    else calls.push({ name, outcome });
  }

  isDone({ name }: UserCall, { userId }: Deliverable): boolean {
    const calls = this.calls.get(userId) ?? [];
    return this.failing.has(userId) || calls.some((call) => call.name === name);
  }
}

/** Sends users by users/bulkUpdate and, after it, events/trackBulk. */
export class IterableBulk implements BulkSink {
  readonly #calls: Pick<IterableCalls, 'call' | 'backOff'>;
  readonly #clock: Clock;

  constructor(calls: Pick<IterableCalls, 'call' | 'backOff'>, clock: Clock) {
    this.#calls = calls;
    this.#clock = clock;
  }

  pages(source: AsyncIterable<readonly EligibleUser[]>): AsyncIterable<readonly EligibleUser[]> {
    return callSized(source, this.#clock);
  }

  async deliver(
    users: readonly EligibleUser[],
    isWanted: () => boolean,
    onFirstCall: () => void,
  ): Promise<BulkDelivery> {
    const page = new Page(isWanted);
    for (const chunk of chunks(users.filter(hasUsableEmail))) {
      const [first, ...others] = USER_CALLS;
      await this.#call(first, chunk, page);
      onFirstCall();
      for (const next of others) {
        const left = chunk.filter(({ userId }) => !page.failing.has(userId));
        await this.#call(next, left, page);
      }
    }
    const deliveries = users
      .filter(({ userId }) => !page.failing.has(userId))
      .map((user) => ({ user, calls: page.calls.get(user.userId) ?? REFUSED_UNSENT }));
    return { deliveries, failing: page.failing };
  }

  /**
   * One bad item can fail a whole call, or have it refused: it is halved until the bad one stands
   * alone. Halves take their turn behind what is left, so that those without a bad one show soon
   * that Iterable is there.
   */
  async #call(call: UserCall, users: readonly Deliverable[], page: Page): Promise<void> {
    const groups = users.length === 0 ? [] : [users];
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      const whole = await this.#try(call, group, page, group.length < users.length);
      page.hasBegun = true;
      if (whole.kind === 'ok') await this.#read(call, group, whole, page);
      else if (group.length > 1) {
        const half = Math.ceil(group.length / 2);
        groups.push(group.slice(0, half), group.slice(half));
      } else {
        for (const user of group) {
          if (whole.kind === 'failed') page.failing.add(user.userId);
          else page.ended(call, user, whole);
        }
      }
    }
  }

  /** `isRetry`: these users were part of a call that failed. */
  async #try(
    { bulkEndpoint, bulkPayload }: UserCall,
    users: readonly Deliverable[],
    page: Page,
    isRetry: boolean,
  ): Promise<Outcome | Failure> {
    const payload = bulkPayload(users);
    for (let tries = 1; ; tries++) {
      const caller: Caller = { id: null, isRetry: isRetry || tries > 1 };
      const whole = await this.#calls.call(bulkEndpoint, payload, caller, page.isWanted);
      if (whole.kind !== 'failed' || tries === TRIES_MAX) return whole;
      await this.#calls.backOff(tries, whole.retryAfterMs);
    }
  }

  /** Takes from the answer to a call that was accepted what became of each user. */
  async #read(
    call: UserCall,
    users: readonly Deliverable[],
    whole: Accepted,
    page: Page,
  ): Promise<void> {
    const failures = bulkFailures(whole.body);
    const isTrack = call.bulkEndpoint === '/api/events/trackBulk';
    const disallowed = isTrack && disallowedEvents(whole.body).has('page_view');
    const isNamed = (user: Deliverable): boolean => failures.has(bulkKey(user.email));
    if (!disallowed && bulkFailCount(whole.body) > failures.size && users.length > 1) {
      await this.#separately(
        call,
        users.filter((user) => !isNamed(user)),
        page,
      );
    }
    for (const user of users) {
      if (page.isDone(call, user)) continue;
      const list = disallowed ? 'disallowedEventNames' : failures.get(bulkKey(user.email));
      page.ended(call, user, itemOutcome(whole, list));
    }
  }

  /** Failures without names: each user alone tells which. */
  async #separately(call: UserCall, users: readonly Deliverable[], page: Page): Promise<void> {
    for (const user of users) {
      const caller: Caller = { id: user.userId, isRetry: false };
      const outcome = await this.#calls.call(call.endpoint, call.payload(user), caller);
      if (outcome.kind === 'failed') page.failing.add(user.userId);
      else page.ended(call, user, outcome);
    }
  }
}
