import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PeakPerSecond, SlidingLimit } from '../../src/simulator/window.ts';

/** Arrival times that crowd around the borders of the second. */
const times = fc
  .array(fc.oneof(fc.constantFrom(0, 0.25, 1, 499.75, 500, 999.75, 1000), fc.nat(400)), {
    maxLength: 300,
  })
  .map((gaps) => {
    let at = 1_768_314_645_000;
    return gaps.map((gap) => (at += gap));
  });

/** The count in every second that ends with an arrival, the slow way. */
const naivePeak = (all: readonly number[]): number =>
  all.reduce((peak, end, i) => {
    const inside = all.slice(0, i + 1).filter((at) => end - at < 1000).length;
    return Math.max(peak, inside);
  }, 0);

describe('the highest count in a sliding second', () => {
  test('is what counting every second by hand gives', () => {
    fc.assert(
      fc.property(times, (all) => {
        const counter = new PeakPerSecond();
        for (const at of all) counter.arrive(at);
        expect(counter.peak).toBe(naivePeak(all));
      }),
    );
  });

  test('holds with many more arrivals than the ring begins with', () => {
    const counter = new PeakPerSecond();
    const all = Array.from({ length: 5000 }, (_, i) => i * 0.7);
    for (const at of all) counter.arrive(at);
    expect(counter.peak).toBe(naivePeak(all));
  });

  test('counts two calls exactly one second apart as two seconds', () => {
    const counter = new PeakPerSecond();
    counter.arrive(0);
    counter.arrive(1000);
    expect(counter.peak).toBe(1);
    counter.arrive(1999.75);
    expect(counter.peak).toBe(2);
  });
});

describe('the rate limit', () => {
  test('lets pass whatever does not make the limit of some second exceeded, and nothing else', () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 20 }), (all, limit) => {
        const window = new SlidingLimit(limit);
        const passed: number[] = [];
        for (const at of all) {
          const room = passed.filter((before) => at - before < 1000).length < limit;
          expect(window.take(at) === 0).toBe(room);
          if (room) passed.push(at);
        }
        expect(naivePeak(passed)).toBeLessThanOrEqual(limit);
      }),
    );
  });

  test('says after how many milliseconds a call could pass', () => {
    const window = new SlidingLimit(2);
    expect(window.take(0)).toBe(0);
    expect(window.take(400)).toBe(0);
    const waitMs = window.take(600);
    expect(waitMs).toBe(400);
    expect(window.take(600 + waitMs)).toBe(0);
  });
});
