import type { OurTable } from '../model/columns.ts';
import type { TopicOffset } from '../topics/port.ts';

/** A reason to look at a user, and whom to tell what came of it. */
export interface Trigger {
  /** Whom to look at, decimal: the key by which triggers come together. */
  userId: string;
  cause: Cause;
  /** Where it comes from; null where no message stands behind it. */
  position: Position | null;
  /** When the row was committed, epoch ms. */
  committedAtMs: number;
  /** When this instance first saw it, monotonic ms. */
  seenAtMs: number;
  /** Called once, when the trigger needs no more work. */
  finish(outcome: TriggerOutcome): void;
}

/** What became of a trigger: the four outcomes of `deliveries_total`. */
export type TriggerOutcome = 'sent' | 'superseded' | 'ineligible' | 'refused';

/**
 * What has happened, with the row that it is about where that is known:
 * - `view`: a page view that the rule could choose was inserted, and a query shows whether it is
 *   visible;
 * - `change`: something was committed that no query for a page view shows;
 * - `asked`: nothing that could be invisible still, so any answer of the rule covers it.
 */
export type Cause =
  (ChangedRow & { kind: 'view' | 'change' }) | { kind: 'change' | 'asked'; table: null; id: null };

export interface ChangedRow {
  table: OurTable;
  /** Decimal. */
  id: string;
}

/** The message that a trigger is made of, and where the transaction is, as far as it says so. */
export interface Position extends TopicOffset {
  gtid: string | null;
  /** Where which server's log has it, as `parseLogPosition` reads it. */
  logPosition: string | null;
}

/** A change of which nobody knows the row. */
export const CHANGED: Cause = { kind: 'change', table: null, id: null };
export const ASKED: Cause = { kind: 'asked', table: null, id: null };

export function viewInserted(id: string): Cause {
  return { kind: 'view', table: 'page_views', id };
}

/** A look that somebody asks for now, without a message. */
export function askedFor(
  userId: string,
  now: { ms: number; epochMs: number },
  finish: Trigger['finish'],
): Trigger {
  return {
    userId,
    cause: ASKED,
    position: null,
    committedAtMs: now.epochMs,
    seenAtMs: now.ms,
    finish,
  };
}

/** The trigger once what it is about was seen: from now on any answer of the rule covers it. */
export function settled(trigger: Trigger): Trigger {
  return { ...trigger, cause: ASKED };
}

/** The trigger once it has been tried: where the second look sends nothing, `outcome` remains. */
export function triedAlready(
  trigger: Trigger,
  outcome: 'sent' | 'refused',
  onVerified: ((userId: string) => void) | undefined,
): Trigger {
  return {
    ...trigger,
    // Its view was seen. A change that nobody could be sure of is asked about once more.
    cause: trigger.cause.kind === 'view' ? ASKED : trigger.cause,
    finish: (then) => {
      onVerified?.(trigger.userId);
      trigger.finish(then === 'sent' || then === 'refused' ? then : outcome);
    },
  };
}
