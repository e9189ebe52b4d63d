import type { OurTable } from '../model/columns.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';
import type { VisibleViews } from '../rule/rule.ts';
import type { TopicOffset } from '../topics/port.ts';

/** The row that a change is about. */
export interface ChangedRow {
  table: OurTable;
  /** Decimal. */
  id: string;
}

/** A reason to look at a user, as the engine holds it. */
export interface Look {
  userId: string;
  /** The page view that the message is about, where it is about one that the rule could choose. */
  viewId: string | null;
  /** A change that may not be visible yet, and can not be seen by looking for a page view. */
  isChange: boolean;
  /** The transaction's GTID, where capture knew it. */
  gtid: string | null;
  /** Where which server's log has it, as `parseLogPosition` reads it, as far as the message says so. */
  logPosition?: string | null;
  /** For a change: its row, where the message says so. */
  row?: ChangedRow | null;
  /** The message that it is made of, where there is one. */
  source?: TopicOffset | null;
  /** When the row was committed, epoch ms. */
  committedAtMs: number;
  /** When this instance first saw it, monotonic ms. */
  seenAtMs: number;
}

/** What one look came to. */
export interface LookAnswer {
  /** The eligible among the users. */
  rows: EligibleUser[];
  visibility: Visibility;
}

/** What a session can see at the moment of a look. */
export interface Visibility {
  /** Of the looks' page views, those that are there. */
  views: VisibleViews;
  /**
   * Whether the look's transaction is visible. `held`: somebody has its row locked, so that it may
   * not be; null: the server can not say.
   */
  hasExecuted: (look: Look) => boolean | 'held' | null;
  /** How long it may take until it is visible, where the server can not say; SETTLE_MS if left out. */
  settleMs?: number;
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
/** What nobody can say of a change it is looked at again for so long, then it is given up. */
export const SETTLE_MS = 1_000;

/** Whether nothing says any more that the look's transaction could still come. */
function isOver(look: Look, { settleMs = SETTLE_MS }: Visibility, now: Now): boolean {
  const waitedMs = now.ms - look.seenAtMs;
  const ageMs = now.epochMs - look.committedAtMs;
  if (look.viewId === null) return waitedMs >= settleMs || ageMs >= UNEXECUTED_MS_MAX;
  return waitedMs >= (ageMs > OLD_MS ? INVISIBLE_OLD_MS_MAX : Math.max(INVISIBLE_MS_MAX, settleMs));
}

interface Now {
  /** Monotonic. */
  ms: number;
  epochMs: number;
}

function isVisible(look: Look, chosenViewId: string | null, { views }: Visibility): boolean {
  if (look.viewId === null) return !look.isChange;
  return look.viewId === chosenViewId || views.has(look.viewId);
}

/**
 * How far what the database says now can be trusted for a look. A binlog event can arrive before
 * its transaction is visible to other sessions (the server hands it to replicas before the engine
 * commits), so:
 * - `seen`: the look's row is visible, or was and is gone again, or it is given up (isGivenUp);
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
  if (isVisible(look, chosenViewId, visibility)) return 'seen';
  const isRecent = nowEpochMs - look.committedAtMs < UNEXECUTED_MS_MAX;
  const over = isOver(look, visibility, { ms: nowMs, epochMs: nowEpochMs });
  const waiting = look.viewId === null ? 'unsure' : 'early';
  switch (visibility.hasExecuted(look)) {
    case true:
      return 'seen';
    case false:
      return isRecent || !over ? 'early' : 'seen';
    case 'held':
      return isRecent || !over ? waiting : 'seen';
    case null:
      return over ? 'seen' : waiting;
  }
}

/**
 * Whether a look ends without proof: the transaction may still come, on a replica that lags behind
 * the source of the topic, or a page view was deleted.
 */
export function isGivenUp(
  look: Look,
  chosenViewId: string | null,
  visibility: Visibility,
  nowMs: number,
  nowEpochMs: number,
): boolean {
  if (isVisible(look, chosenViewId, visibility)) return false;
  if (visibility.hasExecuted(look) === true) return false;
  return judgeLook(look, chosenViewId, visibility, nowMs, nowEpochMs) === 'seen';
}

/** When to look again after `attempt` ≥ 1 looks: early ones soon, unsure ones three times in all. */
export function lookAgainMs(judgement: 'early' | 'unsure', attempt: number): number {
  if (judgement === 'early') return Math.min(2 ** Math.min(attempt, 8), 250);
  return Math.min(20 * 8 ** Math.min(attempt - 1, 3), SETTLE_MS);
}
