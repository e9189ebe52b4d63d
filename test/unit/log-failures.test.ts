import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LogFailures } from '../../src/source/mysql/log-failures.ts';

describe('a log that cannot be read', () => {
  const gone = Object.assign(new Error('I/O error reading log event'), { errno: 1236 });
  const odd = new Error('a column of a kind unknown');
  const cut = Object.assign(new Error('cut'), { code: 'PROTOCOL_CONNECTION_LOST' });
  const ended = Object.assign(new Error('x'), { code: 'ER_SERVER_SHUTDOWN', sqlState: '08S01' });

  test('is given up at the third failure at one position, and at once when the position is gone', () => {
    const kinds = (positions: string[], error: Error): string[] => {
      const failures = new LogFailures({ now: () => 0 });
      return positions.map((position) => failures.judge(error, position).kind);
    };
    expect(kinds(['a', 'a', 'a'], odd)).toEqual(['again', 'again', 'anew']);
    expect(kinds(['a', 'a', 'b', 'b', 'b'], odd)).toEqual([
      'again',
      'again',
      'again',
      'again',
      'anew',
    ]);
    expect(kinds(['a'], gone)).toEqual(['anew']);
  });

  test('is told from a link that breaks, however often', () => {
    const failures = new LogFailures({ now: () => 0 });
    for (let i = 0; i < 20; i += 1) {
      expect(failures.judge(cut, 'a').kind).toBe('again');
      expect(failures.judge(ended, 'a').kind).toBe('again');
    }
  });

  test('makes no more than one look at everyone a minute', () => {
    let nowMs = 5_000;
    const failures = new LogFailures({ now: () => nowMs });
    let anew = 0;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9_000 }), { maxLength: 200 }), (waits) => {
        const startMs = nowMs;
        anew = 0;
        for (const waitMs of waits) {
          nowMs += waitMs;
          const verdict = failures.judge(gone, String(nowMs % 3));
          if (verdict.kind === 'anew') anew += 1;
          if (verdict.kind === 'later') expect(verdict.waitMs).toBeGreaterThan(0);
        }
        expect(anew).toBeLessThanOrEqual(1 + Math.floor((nowMs - startMs) / 60_000));
      }),
    );
    nowMs += 60_000;
    expect(failures.judge(gone, 'a').kind).toBe('anew');
  });
});
