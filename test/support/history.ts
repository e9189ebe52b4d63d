import type { Expected } from './expected.ts';

/** What Iterable took, in the order in which it was carried out. */
export interface AcceptedCall {
  endpoint: 'users/update' | 'events/track';
  /** Lower-cased. */
  email: string;
  /** null for a profile. */
  eventId: string | null;
  /** null for a profile. */
  createdAt: number | null;
  dataFields: Readonly<Record<string, unknown>>;
}

/** One answer of the rule for a user; `null` while the user is not eligible. */
export type Version = Expected | null;

export interface Problem {
  kind: 'hole' | 'phantom' | 'order' | 'pair';
  sentence: string;
}

export interface CheckOptions {
  /**
   * Whether users change hands between running instances: the event of a delivery that was under
   * way may then follow a newer one. Profiles keep their order all the same.
   */
  changesHands: boolean;
}

/**
 * A history in the manner of Jepsen: the writer notes what the rule says of a user after each
 * commit, Iterable's side notes what it took, and one model judges both:
 *
 * - hole: the last thing that the rule said of an eligible user is not the last that Iterable took;
 * - phantom: Iterable took what the rule never said of anyone;
 * - order: Iterable took an older answer after a newer one of the same user;
 * - pair: an event came that no profile of the same user came before.
 *
 * Answers may be passed over (a superseded view) and taken again (a crash).
 */
export class History {
  readonly #versions = new Map<string, Version[]>();
  readonly #users = new Map<string, string>();
  readonly #calls: AcceptedCall[] = [];

  /** Calls that Iterable took. */
  get calls(): readonly AcceptedCall[] {
    return this.#calls;
  }

  /** What the rule says of the user after a commit. */
  committed(userId: string, version: Version): void {
    const versions = this.#versions.get(userId) ?? [];
    this.#versions.set(userId, versions);
    if (JSON.stringify(versions.at(-1)) === JSON.stringify(version)) return;
    versions.push(version);
    if (version !== null) this.#users.set(version.email, userId);
  }

  /** In the order in which they were carried out. */
  accepted(call: AcceptedCall): void {
    this.#calls.push(call);
  }

  /** To be asked at the end: a commit is noted only after others can see it. */
  check(options: CheckOptions = { changesHands: false }): Problem[] {
    const problems: Problem[] = [];
    const byUser = new Map<string, AcceptedCall[]>();
    for (const call of this.#calls) {
      const userId = this.#users.get(call.email);
      if (userId === undefined) {
        const sentence = `${describe(call)} for an address that the rule never named`;
        problems.push({ kind: 'phantom', sentence });
        continue;
      }
      const calls = byUser.get(userId) ?? [];
      byUser.set(userId, calls);
      calls.push(call);
    }
    for (const [userId, versions] of this.#versions) {
      problems.push(...checkUser(userId, versions, byUser.get(userId) ?? [], options));
    }
    return problems;
  }
}

function checkUser(
  userId: string,
  versions: readonly Version[],
  calls: readonly AcceptedCall[],
  options: CheckOptions,
): Problem[] {
  const problems: Problem[] = [];
  const add = (kind: Problem['kind'], what: string): void => {
    problems.push({ kind, sentence: `user ${userId}: ${what}` });
  };
  let reached = 0;
  let hasProfile = false;
  for (const call of calls) {
    const isEvent = call.endpoint === 'events/track';
    const isFree = isEvent && options.changesHands;
    const matching = versions.flatMap((version, i) => (matches(call, version) ? [i] : []));
    const found = matching.find((i) => isFree || i >= reached);
    if (matching.length === 0) add('phantom', describe(call));
    else if (found === undefined) {
      add('order', `${describe(call)}, answer ${matching.join(' or ')}, after answer ${reached}`);
    } else if (!isFree) reached = found;
    if (isEvent && !hasProfile) add('pair', 'an event came before any profile');
    if (!isEvent) hasProfile = true;
  }
  return [...problems, ...holes(userId, versions, calls)];
}

/** Iterable ends with the last answer: its profile was the last to come, and its event came. */
function holes(
  userId: string,
  versions: readonly Version[],
  calls: readonly AcceptedCall[],
): Problem[] {
  const last = versions.at(-1) ?? null;
  if (last === null) return [];
  const mine = calls.filter(({ email }) => email === last.email);
  const profile = mine.findLast(({ endpoint }) => endpoint === 'users/update');
  const event = mine.findLast(({ eventId }) => eventId === last.eventId);
  const problems: Problem[] = [];
  if (profile === undefined || !matches(profile, last)) {
    problems.push({ kind: 'hole', sentence: `user ${userId}: the last profile never came` });
  }
  if (event === undefined || !matches(event, last)) {
    problems.push({ kind: 'hole', sentence: `user ${userId}: ${last.eventId} never came` });
  }
  return problems;
}

function matches(call: AcceptedCall, version: Version): boolean {
  if (version === null || version.email !== call.email) return false;
  if (call.endpoint === 'users/update') return isSame(call.dataFields, version.profile);
  return (
    call.eventId === version.eventId &&
    isSame({ createdAt: call.createdAt, dataFields: call.dataFields }, version.event)
  );
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function describe({ endpoint, eventId, dataFields }: AcceptedCall): string {
  return `${endpoint} ${eventId ?? ''} ${JSON.stringify(dataFields)}`;
}
