import { describe, expect, it } from 'vitest';
import { progressBar, progressText } from '../../src/commands/progress.ts';

const users = (done: number, total: number | null, perSecond: number) => ({
  what: 'users',
  done,
  total,
  perSecond,
});

describe('a progress', () => {
  it('says how many are done, how fast, and what is left as far as that is known', () => {
    expect(progressText(users(7, null, 3.4))).toBe('7 users, 3/s');
    expect(progressText(users(7, 100, 0))).toBe('7/100 users, 0/s, waiting');
    expect(progressText(users(40, 100, 1))).toBe('40/100 users, 1/s, 60 s left');
    expect(progressText(users(0, 30_000, 100))).toBe('0/30000 users, 100/s, 5 min left');
    expect(progressText(users(0, 9_000_000, 500))).toBe('0/9000000 users, 500/s, 5 h left');
    expect(progressText(users(100, 100, 9))).toBe('100/100 users, 9/s, done');
  });

  it('fits the terminal, however large its numbers', () => {
    for (const columns of [20, 40, 60, 79, 200]) {
      for (const now of [users(5, 10, 1), users(123_456_789, 987_654_321, 2_000)]) {
        const text = progressText(now);
        const bar = progressBar(now, columns);
        expect(bar.endsWith(text)).toBe(true);
        expect(bar.length).toBeLessThanOrEqual(Math.max(columns, text.length));
      }
    }
    expect(progressBar(users(5, 10, 1), 79)).toMatch(/^■{15} {15} 5\/10|^\S{15}\S{15} 5\/10/);
    expect(progressBar(users(0, 0, 0), 79)).toContain('0/0 users');
  });
});
