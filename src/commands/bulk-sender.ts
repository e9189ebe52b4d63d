import type { UserDelivery } from '../deliver/deliver-user.ts';
import { NO_EMAIL } from '../deliver/deliver-user.ts';
import type { Caller } from '../sinks/iterable/caller.ts';
import type { Failure, Outcome } from '../sinks/iterable/calls.ts';
import type { Endpoint } from '../sinks/iterable/http.ts';
import {
  type Deliverable,
  hasUsableEmail,
  trackedEvent,
  userUpdate,
} from '../sinks/iterable/payloads.ts';
import {
  bulkFailCount,
  bulkFailures,
  bulkKey,
  disallowedEvents,
  itemOutcome,
} from '../sinks/iterable/read-bulk.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';
import type { Batch } from './batch.ts';
import { chunks } from './call-sized.ts';

/** A bulk call that failed so often is halved: one of its users may be what fails it. */
const TRIES_MAX = 2;

/** What became of the users of a page so far. */
class Page {
  readonly updates = new Map<string, Outcome>();
  readonly tracks = new Map<string, Outcome>();
  /** Users whose call fails also when they are alone in it. */
  readonly failing = new Set<string>();
  /** Whether a call was answered: what has begun is brought to its end. */
  hasBegun = false;

  outcomesOf(endpoint: BulkEndpoint): Map<string, Outcome> {
    return endpoint === '/api/users/bulkUpdate' ? this.updates : this.tracks;
  }

  isDone(endpoint: BulkEndpoint, { userId }: Deliverable): boolean {
    return this.failing.has(userId) || this.outcomesOf(endpoint).has(userId);
  }
}

type BulkEndpoint = Extract<Endpoint, '/api/users/bulkUpdate' | '/api/events/trackBulk'>;

/** Whether the same would be sent. */
function isSame(one: EligibleUser, other: EligibleUser | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Sends users by users/bulkUpdate and, after it, events/trackBulk. */
export class BulkSender {
  readonly #batch: Batch;

  constructor(batch: Batch) {
    this.#batch = batch;
  }

  /**
   * Sends these users and records each. Looks at them once more afterwards, since a live stream
   * may have sent something newer meanwhile. Returns those who are left to be sent singly, beside
   * the rest, with what has come of them so far: users who have changed, for whom a bulk call of a
   * few would take the place of one of a thousand, and (null) users whose calls fail also when they
   * are alone in them. Nothing is recorded of these. `onUpdated` is told when users/bulkUpdate is
   * through.
   * @throws StoppedError when the work ends before the first call.
   */
  async send(
    page: readonly EligibleUser[],
    onUpdated: () => void = () => undefined,
  ): Promise<ReadonlyMap<string, UserDelivery | null>> {
    const failing = new Set<string>();
    const sent = await this.#sendOnce(page, failing, onUpdated);
    const now = await this.#batch.rule.among(sent.map(({ user }) => user.userId));
    const before = new Map(page.map((user) => [user.userId, user]));
    const changed = new Set(
      now.filter((user) => !isSame(user, before.get(user.userId))).map(({ userId }) => userId),
    );
    const isLeft = ({ user }: UserDelivery): boolean => changed.has(user.userId);
    await this.#batch.record(sent.filter((delivery) => !isLeft(delivery)));
    return new Map<string, UserDelivery | null>([
      ...sent.filter(isLeft).map((delivery) => [delivery.user.userId, delivery] as const),
      ...[...failing].map((userId) => [userId, null] as const),
    ]);
  }

  /** What came of all but those that turn out to be failing. */
  async #sendOnce(
    users: readonly EligibleUser[],
    failing: Set<string>,
    onUpdated: () => void,
  ): Promise<UserDelivery[]> {
    const page = new Page();
    for (const chunk of chunks(users.filter(hasUsableEmail))) {
      await this.#call('/api/users/bulkUpdate', chunk, page);
      onUpdated();
      const updated = chunk.filter(({ userId }) => !page.failing.has(userId));
      await this.#call('/api/events/trackBulk', updated, page);
    }
    for (const userId of page.failing) failing.add(userId);
    return users
      .filter(({ userId }) => !page.failing.has(userId))
      .map((user) => ({
        user,
        update: page.updates.get(user.userId) ?? NO_EMAIL,
        track: page.tracks.get(user.userId) ?? NO_EMAIL,
      }));
  }

  /**
   * One bad item can fail a whole call, or have it refused: it is halved until the bad one stands
   * alone. Halves take their turn behind what is left, so that those without a bad one show soon
   * that Iterable is there.
   */
  async #call(endpoint: BulkEndpoint, users: readonly Deliverable[], page: Page): Promise<void> {
    const groups = users.length === 0 ? [] : [users];
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      const whole = await this.#try(endpoint, group, page, group.length < users.length);
      page.hasBegun = true;
      if (whole.kind === 'ok') await this.#read(endpoint, group, whole, page);
      else if (group.length > 1) {
        const half = Math.ceil(group.length / 2);
        groups.push(group.slice(0, half), group.slice(half));
      } else {
        for (const { userId } of group) {
          if (whole.kind === 'failed') page.failing.add(userId);
          else page.outcomesOf(endpoint).set(userId, whole);
        }
      }
    }
  }

  /** `isRetry`: these users were part of a call that failed. */
  async #try(
    endpoint: BulkEndpoint,
    users: readonly Deliverable[],
    page: Page,
    isRetry: boolean,
  ): Promise<Outcome | Failure> {
    const isUpdate = endpoint === '/api/users/bulkUpdate';
    const payload = isUpdate
      ? { users: users.map(userUpdate) }
      : { events: users.map(trackedEvent) };
    const { calls } = this.#batch.sender;
    const isWanted = (): boolean => page.hasBegun || !this.#batch.isEnding;
    for (let tries = 1; ; tries++) {
      const caller: Caller = { id: null, isRetry: isRetry || tries > 1 };
      const whole = await calls.call(endpoint, payload, caller, isWanted);
      if (whole.kind !== 'failed' || tries === TRIES_MAX) return whole;
      await calls.backOff(tries, whole.retryAfterMs);
    }
  }

  /** Takes from the answer to a call that was accepted what became of each user. */
  async #read(
    endpoint: BulkEndpoint,
    users: readonly Deliverable[],
    whole: Extract<Outcome, { kind: 'ok' }>,
    page: Page,
  ): Promise<void> {
    const failures = bulkFailures(whole.body);
    const isTrack = endpoint === '/api/events/trackBulk';
    const disallowed = isTrack && disallowedEvents(whole.body).has('page_view');
    const isNamed = (user: Deliverable): boolean => failures.has(bulkKey(user.email));
    if (!disallowed && bulkFailCount(whole.body) > failures.size && users.length > 1) {
      await this.#separately(
        endpoint,
        users.filter((user) => !isNamed(user)),
        page,
      );
    }
    for (const user of users) {
      if (page.isDone(endpoint, user)) continue;
      const list = disallowed ? 'disallowedEventNames' : failures.get(bulkKey(user.email));
      page.outcomesOf(endpoint).set(user.userId, itemOutcome(whole, list));
    }
  }

  /** Failures without names: each user alone tells which. */
  async #separately(
    endpoint: BulkEndpoint,
    users: readonly Deliverable[],
    page: Page,
  ): Promise<void> {
    const isUpdate = endpoint === '/api/users/bulkUpdate';
    const single: Endpoint = isUpdate ? '/api/users/update' : '/api/events/track';
    for (const user of users) {
      const payload = isUpdate ? userUpdate(user) : trackedEvent(user);
      const caller: Caller = { id: user.userId, isRetry: false };
      const outcome = await this.#batch.sender.calls.call(single, payload, caller);
      if (outcome.kind === 'failed') page.failing.add(user.userId);
      else page.outcomesOf(endpoint).set(user.userId, outcome);
    }
  }
}
