import type { EligibleUser } from '../rule/eligible-user.ts';
import type { VisibleViews } from '../rule/rule.ts';
import type { Trigger } from './trigger.ts';

/** What one look came to. */
export interface LookAnswer {
  /** The eligible among the users. */
  rows: EligibleUser[];
  visibility: Visibility;
}

/** What a session can see at the moment of a look. */
export interface Visibility {
  /** Of the triggers' page views, those that are there. */
  views: VisibleViews;
  /**
   * Whether the trigger's transaction is visible. `held`: somebody has its row locked, so that it
   * may not be; null: the server cannot say.
   */
  hasExecuted: (trigger: Trigger) => boolean | 'held' | null;
  /** How long it may take until it is visible, where the server cannot say; SETTLE_MS if left out. */
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

/** Whether nothing says any more that the trigger's transaction could still come. */
function isOver(trigger: Trigger, { settleMs = SETTLE_MS }: Visibility, now: Now): boolean {
  const waitedMs = now.ms - trigger.seenAtMs;
  const ageMs = now.epochMs - trigger.committedAtMs;
  if (trigger.cause.kind !== 'view') return waitedMs >= settleMs || ageMs >= UNEXECUTED_MS_MAX;
  return waitedMs >= (ageMs > OLD_MS ? INVISIBLE_OLD_MS_MAX : Math.max(INVISIBLE_MS_MAX, settleMs));
}

interface Now {
  /** Monotonic. */
  ms: number;
  epochMs: number;
}

function isVisible(
  { cause }: Trigger,
  chosenViewId: string | null,
  { views }: Visibility,
): boolean {
  if (cause.kind !== 'view') return cause.kind === 'asked';
  return cause.id === chosenViewId || views.has(cause.id);
}

/**
 * How far what the database says now can be trusted for a trigger. A binlog event can arrive before
 * its transaction is visible to other sessions (the server hands it to replicas before the storage
 * engine commits), so:
 * - `seen`: the trigger's row is visible, or was and is gone again, or it is given up (isGivenUp);
 * - `early`: it is known not to be visible yet; look again before anything else;
 * - `unsure`: nobody can say; act on what is there, and look again.
 * `chosenViewId` is the view that the rule returned for the user.
 */
export function judgeLook(
  trigger: Trigger,
  chosenViewId: string | null,
  visibility: Visibility,
  nowMs: number,
  nowEpochMs: number,
): 'seen' | 'early' | 'unsure' {
  if (isVisible(trigger, chosenViewId, visibility)) return 'seen';
  const isRecent = nowEpochMs - trigger.committedAtMs < UNEXECUTED_MS_MAX;
  const over = isOver(trigger, visibility, { ms: nowMs, epochMs: nowEpochMs });
  const waiting = trigger.cause.kind === 'view' ? 'early' : 'unsure';
  switch (visibility.hasExecuted(trigger)) {
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
 * Whether a trigger ends without proof: the transaction may still come, on a replica that lags
 * behind the source of the topic, or a page view was deleted.
 */
export function isGivenUp(
  trigger: Trigger,
  chosenViewId: string | null,
  visibility: Visibility,
  nowMs: number,
  nowEpochMs: number,
): boolean {
  if (isVisible(trigger, chosenViewId, visibility)) return false;
  if (visibility.hasExecuted(trigger) === true) return false;
  return judgeLook(trigger, chosenViewId, visibility, nowMs, nowEpochMs) === 'seen';
}

/** The triggers of one user by how far the look can be trusted for them (see judgeLook). */
export interface Judged {
  early: Trigger[];
  unsure: Trigger[];
  seen: Trigger[];
}

export function judgeAll(
  triggers: readonly Trigger[],
  chosenViewId: string | null,
  visibility: Visibility,
  nowMs: number,
  nowEpochMs: number,
): Judged {
  const judged: Judged = { early: [], unsure: [], seen: [] };
  for (const trigger of triggers) {
    judged[judgeLook(trigger, chosenViewId, visibility, nowMs, nowEpochMs)].push(trigger);
  }
  return judged;
}

/** When to look again after `attempt` ≥ 1 looks: early ones soon, unsure ones three times in all. */
export function lookAgainMs(judgement: 'early' | 'unsure', attempt: number): number {
  if (judgement === 'early') return Math.min(2 ** Math.min(attempt, 8), 250);
  return Math.min(20 * 8 ** Math.min(attempt - 1, 3), SETTLE_MS);
}
