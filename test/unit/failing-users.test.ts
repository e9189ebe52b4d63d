import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Circumstances, FailingUsers, PATIENCE } from '../../src/deliver/failing-users.ts';

const failure = (about: Partial<Circumstances>): Circumstances => ({
  thereMs: 0,
  succeeded: 0,
  isAnswered: false,
  random: 0.5,
  retryAfterMs: null,
  ...about,
});

describe('FailingUsers', () => {
  it('sets a user aside after ten tries and five minutes in which others got through', () => {
    const users = new FailingUsers(PATIENCE);
    const tries = Array.from({ length: 11 }, (_, i) =>
      users.failed('7', failure({ thereMs: i * 30_000, succeeded: i })),
    );
    expect(tries.slice(0, 10).every(({ kind }) => kind === 'again')).toBe(true);
    expect(tries[10]).toEqual({ kind: 'set-aside', tries: 11, failingMs: 300_000 });
    expect(users.size).toBe(0);
    // What is known of it: its next try is behind the first tries of others, too.
    expect(users.has('7')).toBe(true);
    users.cleared('7');
    expect(users.has('7')).toBe(false);
  });

  it('sets nobody aside, however often and long all fail', () => {
    const users = new FailingUsers(PATIENCE);
    fc.assert(
      fc.property(fc.array(fc.nat(10_000_000), { maxLength: 100 }), (waits) => {
        let thereMs = 0;
        for (const wait of waits) {
          thereMs += wait;
          expect(users.failed('7', failure({ thereMs })).kind).toBe('again');
        }
        users.cleared('7');
      }),
    );
  });

  it('takes an answer of Iterable for the success of another', () => {
    const users = new FailingUsers({ triesMin: 2, failingMsMin: 10 });
    users.failed('7', failure({}));
    expect(users.failed('7', failure({ thereMs: 10, isAnswered: true })).kind).toBe('set-aside');
  });

  it('needs both, tries and time, and counts only time in which Iterable was there for others', () => {
    const step = fc.record({ wait: fc.nat(120_000), success: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const users = new FailingUsers(PATIENCE);
        let [thereMs, succeeded, tries, goodMs] = [0, 0, 0, 0];
        for (const { wait, success } of steps) {
          thereMs += wait;
          if (success) succeeded += 1;
          if (tries > 0 && success) goodMs += wait;
          tries += 1;
          const isOver = success && tries >= 10 && goodMs >= 300_000;
          const { kind } = users.failed('7', failure({ thereMs, succeeded }));
          expect(kind).toBe(isOver ? 'set-aside' : 'again');
          if (isOver) return;
        }
      }),
    );
  });
});
