import type { UserDelivery } from '../delivery/deliver-user.ts';
import { NO_EMAIL } from '../delivery/deliver-user.ts';
import type { Outcome } from '../iterable/calls.ts';
import type { Endpoint } from '../iterable/http.ts';
import {
  type Deliverable,
  hasUsableEmail,
  trackedEvent,
  userUpdate,
} from '../iterable/payloads.ts';
import {
  bulkFailCount,
  bulkFailures,
  bulkKey,
  disallowedEvents,
  itemOutcome,
} from '../iterable/read-bulk.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';
import type { Batch } from './batch.ts';

/** Iterable's limit is 4 MB a body; the envelope and a margin are left. */
const BODY_BYTES_MAX = 3_500_000;
const ITEMS_MAX = 1_000;
/** Rounds of looking again at what changed while a page was sent. */
const ROUNDS_MAX = 5;

type Outcomes = Map<string, Outcome>;

/** Splits into chunks of at most ITEMS_MAX users and BODY_BYTES_MAX bytes of JSON. */
function chunks(users: readonly Deliverable[]): Deliverable[][] {
  const result: Deliverable[][] = [];
  let bytes = 0;
  for (const user of users) {
    const size = Buffer.byteLength(JSON.stringify([userUpdate(user), trackedEvent(user)]));
    const last = result.at(-1);
    if (last === undefined || last.length >= ITEMS_MAX || bytes + size > BODY_BYTES_MAX) {
      result.push([user]);
      bytes = size;
    } else {
      last.push(user);
      bytes += size;
    }
  }
  return result;
}

/** Sends users by users/bulkUpdate and, after it, events/trackBulk. */
export class BulkSender {
  readonly #batch: Batch;

  constructor(batch: Batch) {
    this.#batch = batch;
  }

  /**
   * Sends these users and records each. Looks at them once more afterwards, since a live stream
   * may have sent something newer meanwhile, and sends what changed.
   */
  async send(page: readonly EligibleUser[]): Promise<void> {
    let users = page;
    for (let round = 0; users.length > 0 && round < ROUNDS_MAX; round++) {
      const deliveries = await this.#sendOnce(users);
      // A user who had to be sent again is recorded once, with what came of the last time.
      const now = await this.#batch.rule.among(users.map((user) => user.userId));
      const before = new Map(users.map((user) => [user.userId, JSON.stringify(user)]));
      users = now.filter((user) => before.get(user.userId) !== JSON.stringify(user));
      const again = new Set(users.map((user) => user.userId));
      const isLast = round === ROUNDS_MAX - 1;
      for (const delivery of deliveries) {
        if (isLast || !again.has(delivery.user.userId)) await this.#batch.record(delivery);
      }
    }
  }

  async #sendOnce(users: readonly EligibleUser[]): Promise<UserDelivery[]> {
    const deliverable = users.filter(hasUsableEmail);
    const updates: Outcomes = new Map();
    const tracks: Outcomes = new Map();
    for (const chunk of chunks(deliverable)) {
      await this.#call('/api/users/bulkUpdate', chunk, updates);
      await this.#call('/api/events/trackBulk', chunk, tracks);
    }
    return users.map((user) => ({
      user,
      update: updates.get(user.userId) ?? NO_EMAIL,
      track: tracks.get(user.userId) ?? NO_EMAIL,
    }));
  }

  /** One bad item can fail a whole call: it is halved until the bad one stands alone. */
  async #call(
    endpoint: Endpoint,
    users: readonly Deliverable[],
    outcomes: Outcomes,
  ): Promise<void> {
    if (users.length === 0) return;
    const isUpdate = endpoint === '/api/users/bulkUpdate';
    const payload = isUpdate
      ? { users: users.map(userUpdate) }
      : { events: users.map(trackedEvent) };
    const whole = await this.#batch.sender.calls.call(endpoint, payload);
    if (whole.kind === 'refused' && users.length > 1) {
      const half = Math.ceil(users.length / 2);
      await this.#call(endpoint, users.slice(0, half), outcomes);
      return this.#call(endpoint, users.slice(half), outcomes);
    }
    if (whole.kind === 'refused') return void outcomes.set(users[0]?.userId ?? '', whole);
    const failures = bulkFailures(whole.body);
    const disallowed = !isUpdate && disallowedEvents(whole.body).has('page_view');
    const isNamed = (user: Deliverable): boolean => failures.has(bulkKey(user.email));
    if (!disallowed && bulkFailCount(whole.body) > failures.size && users.length > 1) {
      await this.#separately(
        endpoint,
        users.filter((user) => !isNamed(user)),
        outcomes,
      );
    }
    for (const user of users) {
      if (outcomes.has(user.userId)) continue;
      const list = disallowed ? 'disallowedEventNames' : failures.get(bulkKey(user.email));
      outcomes.set(user.userId, itemOutcome(whole, list));
    }
  }

  /** Failures without names: each user alone tells which. */
  async #separately(
    endpoint: Endpoint,
    users: readonly Deliverable[],
    outcomes: Outcomes,
  ): Promise<void> {
    const single: Endpoint =
      endpoint === '/api/users/bulkUpdate' ? '/api/users/update' : '/api/events/track';
    for (const user of users) {
      const payload = endpoint === '/api/users/bulkUpdate' ? userUpdate(user) : trackedEvent(user);
      outcomes.set(user.userId, await this.#batch.sender.calls.call(single, payload));
    }
  }
}
