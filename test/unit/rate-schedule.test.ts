import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EvenStarts,
  StartWindow,
  TypicalWait,
  Widening,
  rateSchedule,
} from '../../src/sinks/iterable/rate-schedule.ts';

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
  it('grants by its ticks less than the limit, and bounds any second by the window', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        (limit, share) => {
          const schedule = rateSchedule(limit, share);
          const { permits = 0, tickMs = 0, callsMax = 0, windowMs = 0 } = schedule ?? {};
          expect((callsMax * 1000) / windowMs).toBeLessThanOrEqual(limit * share + 1e-9);
          expect((permits * 1000) / tickMs).toBeLessThan((callsMax * 1000) / windowMs);
          expect(windowMs).toBeGreaterThan(1000);
          expect(schedule?.burst).toBeLessThanOrEqual(1 + callsMax * 0.012);
          if (limit * share < 1) expect([permits, callsMax]).toEqual([1, 1]);
          else expect(callsMax).toBeLessThanOrEqual(limit * share + 1e-9);
        },
      ),
    );
  });

  it('spaces calls further apart than a second where the share is less than one, and stops at none', () => {
    const slow = rateSchedule(5, 0.1);
    expect(slow?.tickMs).toBeCloseTo(2087.25);
    expect(slow?.windowMs).toBeGreaterThanOrEqual(2000);
    expect(rateSchedule(500, 0)).toBeNull();
  });

  it('uses at least 98.5 percent of 500 and of 2000, and of the parts that two and four instances get', () => {
    for (const [limit, share] of [
      [500, 1],
      [500, 0.5],
      [500, 0.25],
      [2000, 1],
      [2000, 0.5],
    ] as const) {
      const schedule = rateSchedule(limit, share);
      expect(schedule).not.toBeNull();
      const { permits = 0, tickMs = 1, callsMax = 0, windowMs = 1 } = schedule ?? {};
      expect((permits * 1000) / tickMs).toBeGreaterThanOrEqual(0.985 * limit * share);
      expect((callsMax * 1000) / windowMs).toBeGreaterThanOrEqual(0.985 * limit * share);
    }
  });

  it('leaves more room where few calls make up a second, and still 4,500 users a second in bulk', () => {
    const { tickMs = 0, windowMs = 0 } = rateSchedule(5, 1) ?? {};
    expect((1000 / tickMs) * 1000).toBeGreaterThan(4_600);
    expect(windowMs).toBeGreaterThan(1_060);
    expect(rateSchedule(500, 1 / 5)?.windowMs).toBe(1_010);
  });

  it('asks Bottleneck for fewer jobs a second than it can start', () => {
    for (const limit of [1, 10, 83, 250, 500, 2000, 100_000]) {
      expect(1000 / (rateSchedule(limit, 1)?.tickMs ?? 1000)).toBeLessThanOrEqual(101);
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
    const after = new StartWindow(5, 1000, before.times());
    expect(after.waitMs(10)).toBe(995);
  });
});

describe('a call that arrives late', () => {
  it('counts from then, where those that follow it are late as well', () => {
    const window = new StartWindow(5, 1000);
    const calls = [0, 2, 4, 6, 8].map((at) => window.record(at));
    for (const [i, call] of calls.entries()) window.arrived(call, 20 - 2 * i);
    expect(window.waitMs(1000)).toBe(20);
  });

  it('counts from its start, where one that started after it was not late', () => {
    const window = new StartWindow(5, 1000);
    const calls = [0, 2, 4, 6, 8].map((at) => window.record(at));
    window.arrived(calls[0] ?? 0, 50);
    expect(window.waitMs(1000)).toBe(2);
  });

  it('changes nothing once it is forgotten', () => {
    const window = new StartWindow(2, 1000);
    const first = window.record(0);
    for (const at of [1000, 2000, 3000]) window.record(at);
    window.arrived(first, 50);
    expect(window.times()).toEqual([2000, 3000]);
  });

  it('is told by its answer from one that is slow as all are', () => {
    const typical = new TypicalWait();
    for (let i = 0; i < 1000; i++) typical.note(40 + (i % 10));
    expect(typical.lateMs(45)).toBe(0);
    expect(typical.lateMs(75)).toBeGreaterThan(20);
    expect(typical.lateMs(10_000)).toBe(300);
  });

  it('does not take for usual what a server that stalls now and then holds up', () => {
    const typical = new TypicalWait();
    for (let i = 0; i < 1000; i++) typical.note(i % 5 === 0 ? 60 : 2);
    expect(typical.lateMs(60)).toBe(58);
  });
});

describe('EvenStarts', () => {
  it('lets a few start together and spreads out what a stall has held up', () => {
    const even = new EvenStarts({ permits: 2, tickMs: 4, burst: 6 });
    const starts: number[] = [];
    for (let now = 100; starts.length < 20;) {
      now += even.waitMs(now);
      even.record(now, starts.length >= 13);
      starts.push(now);
    }
    expect(starts.filter((at) => at === 100)).toHaveLength(6);
    const gaps = starts.slice(6).map((at, i) => at - (starts[i + 5] ?? 0));
    // Faster than the schedule, and much faster where there is room.
    for (const gap of gaps.slice(0, 7)) expect(gap).toBeCloseTo(2 / 2);
    for (const gap of gaps.slice(8)) expect(gap).toBeCloseTo(2 / 2 / 3);
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
    // The others of the same moment say the same.
    for (let i = 0; i < 100; i++) widening.widen(i);
    expect(widening.extraMs(100)).toBeLessThanOrEqual(once);
    for (let i = 1; i < 100; i++) widening.widen(i * 1_000);
    expect(widening.extraMs(99_000)).toBeLessThanOrEqual(80);
    expect(widening.extraMs(99_000)).toBeGreaterThan(once);
    expect(widening.extraMs(130_000)).toBeLessThan(widening.extraMs(99_000));
    expect(widening.extraMs(10_000_000)).toBe(0);
  });
});
