import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LATE_MS, LateLooks } from '../../src/deliver/late-looks.ts';
import type { Visibility } from '../../src/deliver/looks.ts';
import { type Trigger, viewInserted } from '../../src/deliver/trigger.ts';
import { systemClock } from '../../src/model/clock.ts';
import { triggerFor } from '../support/triggers.ts';

const NOBODY_KNOWS: Visibility = { views: new Set(), hasExecuted: () => null };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function world() {
  const accepted: Trigger[] = [];
  const late = new LateLooks({
    accept: (triggers) => void accepted.push(...triggers),
    clock: systemClock,
  });
  /** A view that was waited for in vain. */
  const waited = (userId: string): Trigger =>
    triggerFor(userId, {
      cause: viewInserted('5'),
      committedAtMs: Date.now() - 20_000,
      seenAtMs: performance.now() - 20_000,
    });
  return { accepted, late, waited };
}

describe('a look that was given up', () => {
  it('is made once more a minute later, once a user', () => {
    const { accepted, late, waited } = world();
    late.note([waited('7'), waited('7'), waited('8')], { rows: [], visibility: NOBODY_KNOWS });
    vi.advanceTimersByTime(LATE_MS - 1);
    expect(accepted).toEqual([]);
    vi.advanceTimersByTime(1_001);
    expect(accepted.map(({ userId }) => userId)).toEqual(['7', '8']);
    vi.advanceTimersByTime(10 * LATE_MS);
    expect(accepted).toHaveLength(2);
  });

  it('comes later for those who came later, also where one is waited for already', () => {
    const { accepted, late, waited } = world();
    late.note([waited('7')], { rows: [], visibility: NOBODY_KNOWS });
    vi.advanceTimersByTime(LATE_MS / 2);
    late.note([waited('8')], { rows: [], visibility: NOBODY_KNOWS });
    vi.advanceTimersByTime(LATE_MS / 2);
    expect(accepted.map(({ userId }) => userId)).toEqual(['7']);
    vi.advanceTimersByTime(LATE_MS / 2 + 1_000);
    expect(accepted.map(({ userId }) => userId)).toEqual(['7', '8']);
  });

  it('is not made where the server has said that the row is gone', () => {
    const { accepted, late, waited } = world();
    late.note([waited('7')], {
      rows: [],
      visibility: { ...NOBODY_KNOWS, hasExecuted: () => true },
    });
    vi.advanceTimersByTime(2 * LATE_MS);
    expect(accepted).toEqual([]);
  });

  it('is forgotten with the partitions, and never grows beyond its bound', () => {
    const { accepted, late, waited } = world();
    for (let id = 0; id < 10_100; id += 1) {
      late.note([waited(String(id))], { rows: [], visibility: NOBODY_KNOWS });
    }
    expect(late.users).toBe(10_000);
    late.clear();
    vi.advanceTimersByTime(2 * LATE_MS);
    expect(accepted).toEqual([]);
  });
});
