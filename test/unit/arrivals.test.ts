import { describe, expect, it } from 'vitest';
import { Arrivals } from '../support/arrivals.ts';

describe('the arrivals that a test has seen', () => {
  it('are as many in a second as came in it', () => {
    let nowMs = 0;
    using arrivals = new Arrivals(() => nowMs);
    for (let i = 0; i < 300; i++) {
      nowMs += 10;
      arrivals.turn();
      arrivals.note();
    }
    // The last but one turn was 10 ms before each.
    expect(arrivals.peak()).toBe(99);
    expect(arrivals.count).toBe(300);
    for (let i = 0; i < 50; i++) arrivals.note();
    expect(arrivals.peak()).toBeGreaterThan(140);
  });

  it('are not taken for a bunch where the test itself was held up', () => {
    let nowMs = 0;
    using arrivals = new Arrivals(() => nowMs);
    const goOn = (calls: number): void => {
      for (let i = 0; i < calls; i++) {
        nowMs += 10;
        arrivals.turn();
        arrivals.note();
      }
    };
    goOn(200);
    // Half a second without a turn: what came meanwhile is seen at its end.
    nowMs += 500;
    arrivals.turn();
    for (let i = 0; i < 50; i++) arrivals.note();
    goOn(200);
    expect(arrivals.peak()).toBeLessThanOrEqual(100);
  });
});
