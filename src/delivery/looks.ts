/** A reason to look at a user, as the engine holds it. */
export interface Look {
  userId: string;
  /** The page view that the message is about, where it is about one that the rule could choose. */
  viewId: string | null;
  /** A change that may not be visible yet, and can not be seen by looking for a page view. */
  isChange: boolean;
  /** The transaction's GTID, where capture knew it. */
  gtid: string | null;
  /** When the row was committed, epoch ms. */
  committedAtMs: number;
  /** When this instance first saw it, monotonic ms. */
  seenAtMs: number;
}

/** What a session can see at the moment of a look. */
export interface Visibility {
  /** Of the looks' page views, those that are there. */
  views: ReadonlySet<string>;
  /** Whether a transaction is committed, or null where the server can not say. */
  hasExecuted: (gtid: string) => boolean | null;
}

/**
 * A transaction that the server knows as not executed is waited for so long: semi-synchronous
 * replication holds commits back for its timeout. For ever would not do: after a failover that lost
 * it, it never comes.
 */
export const UNEXECUTED_MS_MAX = 600_000;
/** How long an invisible row is asked for again before it counts as deleted. */
export const INVISIBLE_MS_MAX = 10_000;
/** The same for a message that is older than a minute: its commit is long over. */
export const INVISIBLE_OLD_MS_MAX = 1_000;
const OLD_MS = 60_000;
/** Without GTIDs a change is looked at again until it is this old, then taken as seen. */
export const SETTLE_MS = 1_000;

function patienceMs(look: Look, nowEpochMs: number): number {
  return nowEpochMs - look.committedAtMs > OLD_MS ? INVISIBLE_OLD_MS_MAX : INVISIBLE_MS_MAX;
}

/**
 * How far what the database says now can be trusted for a look. A binlog event can arrive before
 * its transaction is visible to other sessions (the server hands it to replicas before the engine
 * commits), so:
 * - `seen`: the look's row is visible, or so old that it would be;
 * - `early`: it is known not to be visible yet; look again before anything else;
 * - `unsure`: nobody can say; act on what is there, and look again.
 * `chosenViewId` is the view that the rule returned for the user.
 */
export function judgeLook(
  look: Look,
  chosenViewId: string | null,
  visibility: Visibility,
  nowMs: number,
  nowEpochMs: number,
): 'seen' | 'early' | 'unsure' {
  const waitedMs = nowMs - look.seenAtMs;
  const isRecent = nowEpochMs - look.committedAtMs < UNEXECUTED_MS_MAX;
  const executed = (): boolean | null =>
    look.gtid === null ? null : visibility.hasExecuted(look.gtid);
  if (look.viewId !== null) {
    if (look.viewId === chosenViewId || visibility.views.has(look.viewId)) return 'seen';
    if (isRecent && executed() === false) return 'early';
    return waitedMs < patienceMs(look, nowEpochMs) ? 'early' : 'seen';
  }
  if (!look.isChange) return 'seen';
  switch (executed()) {
    case true:
      return 'seen';
    case false:
      return isRecent || waitedMs < patienceMs(look, nowEpochMs) ? 'early' : 'seen';
    case null:
      // Not by OLD_MS: a slow statement's time is its start, and clocks differ.
      return waitedMs < SETTLE_MS && isRecent ? 'unsure' : 'seen';
  }
}

/** When to look again after `attempt` ≥ 1 looks: early ones soon, unsure ones three times in all. */
export function lookAgainMs(judgement: 'early' | 'unsure', attempt: number): number {
  if (judgement === 'early') return Math.min(2 ** Math.min(attempt, 8), 250);
  return Math.min(20 * 8 ** Math.min(attempt - 1, 3), SETTLE_MS);
}
