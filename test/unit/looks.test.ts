import { describe, expect, it } from 'vitest';
import { type Look, UNEXECUTED_MS_MAX, isGivenUp, judgeLook } from '../../src/deliver/looks.ts';

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

  // Guards `case true`: a view that was deleted costs no time where the server can say so.
  it('takes an invisible row as deleted at once when its transaction is visible', () => {
    expect(judge({ viewId: '2' }, true, 0)).toBe('seen');
  });

  // Guards `case 'held'`: somebody else may hold the row, so that what is there is acted on.
  it('acts on a row that is locked and looks again, for as long as it is, but not for ever', () => {
    const held = (about: Partial<Look>, waitedMs: number): string =>
      judgeLook(
        look(about),
        null,
        { views: new Set(), hasExecuted: () => 'held' },
        waitedMs,
        NOW + waitedMs,
      );
    expect(held({ isChange: true }, UNEXECUTED_MS_MAX - 1)).toBe('unsure');
    expect(held({ viewId: '2' }, UNEXECUTED_MS_MAX - 1)).toBe('early');
    expect(held({ isChange: true }, UNEXECUTED_MS_MAX)).toBe('seen');
    expect(held({ viewId: '2' }, UNEXECUTED_MS_MAX)).toBe('seen');
  });

  // Guards settleMs: no second of ours stands for the server's own time limit.
  it('waits for as long as the server can hold a commit where nobody can say more', () => {
    const visibility = { views: new Set<string>(), hasExecuted: () => null, settleMs: 31_000 };
    for (const [about, waiting] of [
      [{ isChange: true }, 'unsure'],
      [{ viewId: '2' }, 'early'],
    ] as const) {
      const at = (ms: number): [Look, null, typeof visibility, number, number] => [
        look(about),
        null,
        visibility,
        ms,
        NOW + ms,
      ];
      expect(judgeLook(...at(30_999))).toBe(waiting);
      expect(isGivenUp(...at(30_999))).toBe(false);
      expect(judgeLook(...at(31_000))).toBe('seen');
      expect(isGivenUp(...at(31_000))).toBe(true);
    }
  });

  it('looks again for a second after a change without a GTID, also with a clock minutes apart', () => {
    expect(judge({ isChange: true, committedAtMs: NOW - 120_000 }, null, 0)).toBe('unsure');
    expect(judge({ isChange: true }, null, 1_000)).toBe('seen');
  });
});
