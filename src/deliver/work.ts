import { type Look, type Visibility, judgeLook } from './looks.ts';

/** What became of a reason to look: the four outcomes of `deliveries_total`. */
export type LookOutcome = 'sent' | 'superseded' | 'ineligible' | 'refused';

/** A reason to look at a user, and whom to tell what came of it. */
export interface WorkItem extends Look {
  /** Called once, when the item needs no more work. */
  finish(outcome: LookOutcome): void;
}

/** The items of one user by how far the look can be trusted for them (see judgeLook). */
export interface Judged {
  early: WorkItem[];
  unsure: WorkItem[];
  seen: WorkItem[];
}

export function judgeItems(
  items: readonly WorkItem[],
  chosenViewId: string | null,
  visibility: Visibility,
  nowMs: number,
  nowEpochMs: number,
): Judged {
  const judged: Judged = { early: [], unsure: [], seen: [] };
  for (const item of items) {
    judged[judgeLook(item, chosenViewId, visibility, nowMs, nowEpochMs)].push(item);
  }
  return judged;
}

/** The item once what it is about was seen: from now on any answer of the rule covers it. */
export function settled(item: WorkItem): WorkItem {
  return { ...item, viewId: null, isChange: false };
}

/** The item once it has been tried: where the second look sends nothing, `outcome` remains. */
export function triedAlready(
  item: WorkItem,
  outcome: 'sent' | 'refused',
  onVerified: ((userId: string) => void) | undefined,
): WorkItem {
  return {
    ...item,
    viewId: null,
    finish: (then) => {
      onVerified?.(item.userId);
      item.finish(then === 'sent' || then === 'refused' ? then : outcome);
    },
  };
}
