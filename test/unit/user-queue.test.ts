import { describe, expect, it } from 'vitest';
import type { Trigger } from '../../src/deliver/trigger.ts';
import { UserQueue } from '../../src/deliver/user-queue.ts';
import { systemClock } from '../../src/model/clock.ts';
import { triggerFor } from '../support/triggers.ts';

const trigger = (userId: string, nth = 1): Trigger => triggerFor(userId, { seenAtMs: nth });

describe('UserQueue', () => {
  it('keeps those that failed in a line of their own, with all that comes for them meanwhile', async () => {
    const rested = Promise.withResolvers<void>();
    const queue = new UserQueue(() => rested.resolve(), systemClock);
    queue.add(trigger('1'));
    const [one] = queue.take(1);
    queue.defer('1', one?.triggers ?? [], 5);
    for (let nth = 2; nth <= 5; nth++) queue.add(trigger('1', nth));
    // News is no reason to try again sooner: who has many views would be tried with each.
    expect(queue.queued + queue.queuedBehind).toBe(0);
    queue.add(trigger('2'));
    await rested.promise;
    expect(queue.queued).toBe(1);
    expect(queue.take(10).map(({ userId }) => userId)).toEqual(['2']);
    const [again] = queue.takeBehind(10);
    expect(again?.triggers.map(({ seenAtMs }) => seenAtMs)).toEqual([1, 2, 3, 4, 5]);
    queue.release('1');
    queue.add(trigger('1'));
    expect(queue.queued).toBe(1);
  });

  it('looks at one user with very many triggers in turns', () => {
    const queue = new UserQueue(() => undefined, systemClock);
    for (let nth = 1; nth <= 2_500; nth++) queue.add(trigger('1', nth));
    const seen: number[] = [];
    for (let [one] = queue.take(1); one !== undefined; [one] = queue.take(1)) {
      expect(one.triggers.length).toBeLessThanOrEqual(1_000);
      seen.push(...one.triggers.map(({ seenAtMs }) => seenAtMs));
      queue.release('1');
    }
    expect(seen).toEqual(Array.from({ length: 2_500 }, (_, i) => i + 1));
    expect(queue.users).toBe(0);
  });
});
