import { describe, expect, it } from 'vitest';
import { UNEXECUTED_MS_MAX, isGivenUp, judgeLook } from '../../src/deliver/looks.ts';
import { CHANGED, type Trigger, viewInserted } from '../../src/deliver/trigger.ts';
import { triggerFor } from '../support/triggers.ts';

const NOW = 1_000_000_000;
const VIEW = viewInserted('2');
const trigger = (about: Partial<Trigger>): Trigger =>
  triggerFor('7', { committedAtMs: NOW, seenAtMs: 0, ...about });
const judge = (about: Partial<Trigger>, executed: boolean | null, waitedMs: number): string =>
  judgeLook(
    trigger(about),
    null,
    { views: new Set(['1']), hasExecuted: () => executed },
    waitedMs,
    NOW + waitedMs,
  );

describe('judgeLook', () => {
  it('takes a visible row as seen at once', () => {
    expect(judge({ cause: viewInserted('1') }, null, 0)).toBe('seen');
  });

  it('takes an invisible row as deleted after ten seconds', () => {
    expect(judge({ cause: VIEW }, null, 9_999)).toBe('early');
    expect(judge({ cause: VIEW }, null, 10_000)).toBe('seen');
    expect(judge({ cause: VIEW }, true, 10_000)).toBe('seen');
  });

  // Guards `isRecent && executed() === false`: a commit that semi-synchronous replication holds.
  it('waits for a transaction that the server knows as not executed, but not for ever', () => {
    for (const about of [{ cause: VIEW }, { cause: CHANGED }]) {
      expect(judge(about, false, UNEXECUTED_MS_MAX - 1)).toBe('early');
      expect(judge(about, false, UNEXECUTED_MS_MAX)).toBe('seen');
    }
  });

  // Guards `case true`: a view that was deleted costs no time where the server can say so.
  it('takes an invisible row as deleted at once when its transaction is visible', () => {
    expect(judge({ cause: VIEW }, true, 0)).toBe('seen');
  });

  // Guards `case 'held'`: somebody else may hold the row, so that what is there is acted on.
  it('acts on a row that is locked and looks again, for as long as it is, but not for ever', () => {
    const held = (about: Partial<Trigger>, waitedMs: number): string =>
      judgeLook(
        trigger(about),
        null,
        { views: new Set(), hasExecuted: () => 'held' },
        waitedMs,
        NOW + waitedMs,
      );
    expect(held({ cause: CHANGED }, UNEXECUTED_MS_MAX - 1)).toBe('unsure');
    expect(held({ cause: VIEW }, UNEXECUTED_MS_MAX - 1)).toBe('early');
    expect(held({ cause: CHANGED }, UNEXECUTED_MS_MAX)).toBe('seen');
    expect(held({ cause: VIEW }, UNEXECUTED_MS_MAX)).toBe('seen');
  });

  // Guards settleMs: no second of ours stands for the server's own time limit.
  it('waits for as long as the server can hold a commit where nobody can say more', () => {
    const visibility = { views: new Set<string>(), hasExecuted: () => null, settleMs: 31_000 };
    for (const [about, waiting] of [
      [{ cause: CHANGED }, 'unsure'],
      [{ cause: VIEW }, 'early'],
    ] as const) {
      const at = (ms: number): [Trigger, null, typeof visibility, number, number] => [
        trigger(about),
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
    expect(judge({ cause: CHANGED, committedAtMs: NOW - 120_000 }, null, 0)).toBe('unsure');
    expect(judge({ cause: CHANGED }, null, 1_000)).toBe('seen');
  });
});
