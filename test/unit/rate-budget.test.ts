import { describe, expect, it } from 'vitest';
import { RateBudget } from '../../src/iterable/rate-budget.ts';

describe('RateBudget', () => {
  // Guards the loop over unwanted waiters in #pump.
  it('spends nothing on who is not wanted any more when the turn comes', async () => {
    const budget = new RateBudget({ limitPerSecond: 1, now: () => performance.now() });
    const unwanted = Array.from({ length: 1000 }, () => budget.take(() => false));
    const wanted = budget.take();
    budget.setShare(1);
    expect(new Set(await Promise.all(unwanted))).toEqual(new Set([false]));
    expect(await wanted).toBe(true);
    budget.close(new Error('over'));
  });

  it('lets calls through where the share is less than one a second', async () => {
    const budget = new RateBudget({ limitPerSecond: 5, now: () => performance.now() });
    budget.setShare(0.1);
    expect(await budget.take()).toBe(true);
    budget.close(new Error('over'));
  });

  it('gives those behind only what the others leave', async () => {
    const budget = new RateBudget({ limitPerSecond: 200, now: () => performance.now() });
    const order: string[] = [];
    const take = async (name: 'first' | 'behind'): Promise<void> => {
      await budget.take(() => true, name === 'behind');
      order.push(name);
    };
    const takes = [
      ...Array.from({ length: 20 }, () => take('behind')),
      ...Array.from({ length: 60 }, () => take('first')),
    ];
    budget.setShare(1);
    await Promise.all(takes);
    expect(order.slice(0, 60)).toEqual(Array.from({ length: 60 }, () => 'first'));
    budget.close(new Error('over'));
  });
});
