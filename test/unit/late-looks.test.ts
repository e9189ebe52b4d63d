import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { WorkItem } from '../../src/deliver/reconciler.ts';
import { LATE_MS, LateLooks } from '../../src/deliver/late-looks.ts';
import type { Look, Visibility } from '../../src/deliver/looks.ts';

const NOBODY_KNOWS: Visibility = { views: new Set(), hasExecuted: () => null };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function world() {
  const accepted: WorkItem[] = [];
  const late = new LateLooks({
    accept: (items) => void accepted.push(...items),
    now: () => performance.now(),
    nowEpoch: () => Date.now(),
  });
  /** A view that was waited for in vain. */
  const look = (userId: string): Look => ({
    userId,
    viewId: '5',
    isChange: false,
    gtid: null,
    committedAtMs: Date.now() - 20_000,
    seenAtMs: performance.now() - 20_000,
  });
  return { accepted, late, look };
}

describe('a look that was given up', () => {
  it('is made once more a minute later, once a user', () => {
    const { accepted, late, look } = world();
    late.note([look('7'), look('7'), look('8')], { rows: [], visibility: NOBODY_KNOWS });
    vi.advanceTimersByTime(LATE_MS - 1);
    expect(accepted).toEqual([]);
    vi.advanceTimersByTime(1_001);
    expect(accepted.map(({ userId }) => userId)).toEqual(['7', '8']);
    vi.advanceTimersByTime(10 * LATE_MS);
    expect(accepted).toHaveLength(2);
  });

  it('comes later for those who came later, also where one is waited for already', () => {
    const { accepted, late, look } = world();
    late.note([look('7')], { rows: [], visibility: NOBODY_KNOWS });
    vi.advanceTimersByTime(LATE_MS / 2);
    late.note([look('8')], { rows: [], visibility: NOBODY_KNOWS });
    vi.advanceTimersByTime(LATE_MS / 2);
    expect(accepted.map(({ userId }) => userId)).toEqual(['7']);
    vi.advanceTimersByTime(LATE_MS / 2 + 1_000);
    expect(accepted.map(({ userId }) => userId)).toEqual(['7', '8']);
  });

  it('is not made where the server has said that the row is gone', () => {
    const { accepted, late, look } = world();
    late.note([look('7')], { rows: [], visibility: { ...NOBODY_KNOWS, hasExecuted: () => true } });
    vi.advanceTimersByTime(2 * LATE_MS);
    expect(accepted).toEqual([]);
  });

  it('is forgotten with the partitions, and never grows beyond its bound', () => {
    const { accepted, late, look } = world();
    for (let id = 0; id < 10_100; id += 1) {
      late.note([look(String(id))], { rows: [], visibility: NOBODY_KNOWS });
    }
    expect(late.users).toBe(10_000);
    late.clear();
    vi.advanceTimersByTime(2 * LATE_MS);
    expect(accepted).toEqual([]);
  });
});
