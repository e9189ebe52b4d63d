import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StartWindow, Widening, rateSchedule } from '../../src/iterable/rate-schedule.ts';

function mostInAnyWindow(starts: readonly number[], windowMs: number): number {
  let most = 0;
  let first = 0;
  for (let last = 0; last < starts.length; last++) {
    while ((starts[last] ?? 0) - (starts[first] ?? 0) >= windowMs) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

describe('rateSchedule', () => {
  it('keeps any second, with a group in stock and one tick more than it is long, within the limit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 4, max: 5000 }),
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        (limit, share) => {
          const schedule = rateSchedule(limit, share);
          const { permits = 0, tickMs = 0, callsMax = 0, windowMs = 0 } = schedule ?? {};
          expect((callsMax * 1000) / windowMs).toBeLessThanOrEqual(limit * share + 1e-9);
          if (limit * share < 1) {
            expect([permits, callsMax]).toEqual([1, 1]);
            return;
          }
          expect(callsMax).toBeLessThanOrEqual(limit * share + 1e-9);
          if (callsMax < 4) return;
          expect((1000 / tickMs + 2) * permits).toBeLessThanOrEqual(callsMax + 1e-6);
        },
      ),
    );
  });

  it('spaces calls further apart than a second where the share is less than one, and stops at none', () => {
    const slow = rateSchedule(5, 0.1);
    expect(slow?.tickMs).toBeCloseTo(2000);
    expect(slow?.windowMs).toBeGreaterThanOrEqual(2000);
    expect(rateSchedule(500, 0)).toBeNull();
  });

  it('uses at least 98 percent of 500 and of 2000, and of the halves that two instances get', () => {
    for (const [limit, share] of [
      [500, 1],
      [500, 0.5],
      [2000, 1],
      [2000, 0.5],
    ] as const) {
      const schedule = rateSchedule(limit, share);
      expect(schedule).not.toBeNull();
      const { permits = 0, tickMs = 1, callsMax = 0, windowMs = 1 } = schedule ?? {};
      expect((permits * 1000) / tickMs).toBeGreaterThanOrEqual(0.98 * limit * share);
      expect((callsMax * 1000) / windowMs).toBeGreaterThanOrEqual(0.98 * limit * share);
    }
  });

  it('asks Bottleneck for fewer jobs a second than it can start', () => {
    for (const limit of [1, 10, 83, 250, 500, 2000, 100_000]) {
      expect(1000 / (rateSchedule(limit, 1)?.tickMs ?? 1000)).toBeLessThanOrEqual(251);
    }
  });

  it('adds up to no more than the limit over the instances of a group', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 8 }),
        (parts) => {
          const all = parts.reduce((sum, part) => sum + part, 0);
          fc.pre(all > 0);
          const calls = parts.map((part) => rateSchedule(500, part / all)?.callsMax ?? 0);
          expect(calls.reduce((sum, value) => sum + value, 0)).toBeLessThanOrEqual(500);
        },
      ),
    );
  });
});

describe('StartWindow', () => {
  const gaps = fc.array(fc.double({ min: 0, max: 40, noNaN: true }), {
    minLength: 1,
    maxLength: 300,
  });

  it('lets no window hold more starts than allowed, however the calls come', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), gaps, (callsMax, waits) => {
        const window = new StartWindow(callsMax, 1000);
        const starts: number[] = [];
        let now = 0;
        for (const gap of waits) {
          now += gap;
          now += window.waitMs(now);
          window.record(now);
          starts.push(now);
        }
        expect(mostInAnyWindow(starts, 1000 - 1e-6)).toBeLessThanOrEqual(callsMax);
      }),
    );
  });

  it('remembers the starts before a smaller share when it takes over', () => {
    const before = new StartWindow(10, 1000);
    for (let i = 0; i < 10; i++) before.record(i);
    const after = new StartWindow(5, 1000, before.starts());
    expect(after.waitMs(10)).toBe(995);
  });
});

describe('Widening', () => {
  it('leaves more room at the beginning of a share, for two seconds', () => {
    const widening = new Widening();
    widening.begin(1000);
    expect(widening.extraMs(1000)).toBeGreaterThan(20);
    expect(widening.extraMs(3000)).toBe(0);
  });

  it('leaves more room after each 429, not without end, and gives it back with time', () => {
    const widening = new Widening();
    expect(widening.extraMs(0)).toBe(0);
    widening.widen(0);
    const once = widening.extraMs(0);
    expect(once).toBeGreaterThan(0);
    for (let i = 0; i < 100; i++) widening.widen(0);
    expect(widening.extraMs(0)).toBeLessThanOrEqual(80);
    expect(widening.extraMs(30_000)).toBeLessThan(widening.extraMs(0));
    expect(widening.extraMs(10_000_000)).toBe(0);
  });
});
