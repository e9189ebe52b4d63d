import type { Clock } from '../../model/clock.ts';
import type { DataFields, EligibleUser } from '../../rule/eligible-user.ts';
import { type Deliverable, hasUsableEmail, trackedEvent, userUpdate } from './payloads.ts';

/** Iterable's limit is 4 MB a body; the envelope and a margin are left. */
const BODY_BYTES_MAX = 3_500_000;
const ITEMS_MAX = 1_000;
/** How long a page waits for more users: as long as the next call of its kind has to wait anyway. */
const FILL_MS_MAX = 200;

/** A character takes at most so many bytes in JSON, and what is around the values fewer than these. */
const CHAR_BYTES_MAX = 6;
const FRAME_BYTES_MAX = 800;
const NUMBER_CHARS_MAX = 24;
/** Of a user who takes no more, any ITEMS_MAX fit: nobody has to know it exactly. */
const SMALL_BYTES = BODY_BYTES_MAX / ITEMS_MAX;

/** In both calls together, or a bound of it where that is small. */
function bytesOf(user: EligibleUser): number {
  if (!hasUsableEmail(user)) return 0;
  const chars = 2 * user.email.length + charsOf(user.profile) + charsOf(user.event);
  const most = FRAME_BYTES_MAX + chars * CHAR_BYTES_MAX;
  if (most <= SMALL_BYTES) return most;
  return Buffer.byteLength(JSON.stringify([userUpdate(user), trackedEvent(user)]));
}

/** Of names and values. JSON in a value may be of any size: it is not known by this. */
function charsOf(fields: DataFields): number {
  let chars = 0;
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'object') return Number.POSITIVE_INFINITY;
    chars += name.length + (typeof value === 'string' ? value.length : NUMBER_CHARS_MAX);
  }
  return chars;
}

/** Users for one call, as many as it takes. */
class CallSized<U extends EligibleUser> {
  users: U[] = [];
  #bytes = 0;

  /** False where there is no room for the user. */
  add(user: U): boolean {
    const bytes = bytesOf(user);
    const isFull = this.users.length >= ITEMS_MAX || this.#bytes + bytes > BODY_BYTES_MAX;
    if (isFull && this.users.length > 0) return false;
    this.users.push(user);
    this.#bytes += bytes;
    return true;
  }
}

/** Splits into chunks of at most ITEMS_MAX users and BODY_BYTES_MAX bytes of JSON. */
export function chunks(users: readonly Deliverable[]): Deliverable[][] {
  const result: CallSized<Deliverable>[] = [];
  for (const user of users) {
    if (result.at(-1)?.add(user) === true) continue;
    const next = new CallSized<Deliverable>();
    next.add(user);
    result.push(next);
  }
  return result.map((chunk) => chunk.users);
}

/** The same users in the same order, in pages for one call each; the first one goes as it is. */
export async function* callSized(
  source: AsyncIterable<readonly EligibleUser[]>,
  clock: Clock,
): AsyncGenerator<readonly EligibleUser[]> {
  let page = new CallSized<EligibleUser>();
  let yieldedMs = Number.NEGATIVE_INFINITY;
  for await (const users of source) {
    for (const user of users) {
      if (page.add(user)) continue;
      yield page.users;
      yieldedMs = clock.now();
      page = new CallSized();
      page.add(user);
    }
    if (page.users.length === 0 || clock.now() - yieldedMs < FILL_MS_MAX) continue;
    yield page.users;
    yieldedMs = clock.now();
    page = new CallSized();
  }
  if (page.users.length > 0) yield page.users;
}
