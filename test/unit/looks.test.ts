import { describe, expect, it } from 'vitest';
import { type Look, judgeLook, UNEXECUTED_MS_MAX } from '../../src/delivery/looks.ts';

const NOW = 1_000_000_000;
const look = (about: Partial<Look>): Look => ({
  userId: '7',
  viewId: null,
  isChange: false,
  gtid: 'a:1',
  committedAtMs: NOW,
  seenAtMs: 0,
  ...about,
});
const judge = (about: Partial<Look>, executed: boolean | null, waitedMs: number): string =>
  judgeLook(
    look(about),
    null,
    { views: new Set(['1']), hasExecuted: () => executed },
    waitedMs,
    NOW + waitedMs,
  );

describe('judgeLook', () => {
  it('takes a visible row as seen at once', () => {
    expect(judge({ viewId: '1' }, null, 0)).toBe('seen');
  });

  it('takes an invisible row as deleted after ten seconds', () => {
    expect(judge({ viewId: '2' }, null, 9_999)).toBe('early');
    expect(judge({ viewId: '2' }, null, 10_000)).toBe('seen');
    expect(judge({ viewId: '2' }, true, 10_000)).toBe('seen');
  });

  // Guards `isRecent && executed() === false`: a commit that semi-synchronous replication holds.
  it('waits for a transaction that the server knows as not executed, but not for ever', () => {
    for (const about of [{ viewId: '2' }, { isChange: true }]) {
      expect(judge(about, false, UNEXECUTED_MS_MAX - 1)).toBe('early');
      expect(judge(about, false, UNEXECUTED_MS_MAX)).toBe('seen');
    }
  });

  it('looks again for a second after a change without a GTID, also with a clock minutes apart', () => {
    expect(judge({ isChange: true, committedAtMs: NOW - 120_000 }, null, 0)).toBe('unsure');
    expect(judge({ isChange: true }, null, 1_000)).toBe('seen');
  });
});
