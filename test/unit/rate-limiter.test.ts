import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/model/clock.ts';
import { RateLimiter } from '../../src/sinks/iterable/rate-limiter.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const LIMIT = 500;

/** The most in any second, however it is laid. */
function mostInASecond(times: readonly number[]): number {
  let most = 0;
  let first = 0;
  for (const [last, time] of times.entries()) {
    while (time - (times[first] ?? 0) >= 1000) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

type Stall = readonly [atMs: number, ms: number];

/** In order, none while another lasts. */
const stalls = (seconds: number, msMax: number): fc.Arbitrary<Stall[]> =>
  fc
    .array(fc.tuple(fc.integer({ min: 0, max: 900 }), fc.integer({ min: 20, max: msMax })), {
      minLength: seconds,
      maxLength: seconds,
    })
    .map((list) => list.map(([at, ms], second) => [second * 1000 + at, ms] as const));

/** A server that answers after 2 ms, unless it stands still. */
class StrictServer {
  readonly arrivals: number[] = [];
  readonly #time: VirtualTime;
  readonly #stalls: readonly Stall[];

  constructor(time: VirtualTime, standsStill: readonly Stall[] = []) {
    this.#time = time;
    this.#stalls = standsStill;
  }

  /** All these calls at once, as fast as the limiter lets them. */
  call(limiter: RateLimiter, calls: number): void {
    for (let i = 0; i < calls; i++) void this.one(limiter).catch(() => undefined);
  }

  async one(limiter: RateLimiter): Promise<void> {
    const start = await limiter.take();
    if (start === null) return;
    const now = this.#time.nowMs;
    const stall = this.#stalls.find(([at, ms]) => at <= now && now < at + ms);
    const arrivesMs = stall === undefined ? now : stall[0] + stall[1];
    this.arrivals.push(arrivesMs);
    setTimeout(() => limiter.answered(start), arrivesMs - now + 2);
  }

  get most(): number {
    return mostInASecond(this.arrivals.toSorted((a, b) => a - b));
  }
}

/** A backlog of so many seconds over instances with these parts of the limit. */
async function backlog(
  parts: readonly number[],
  seconds: number,
  [ours, servers]: readonly [Stall[], Stall[]],
): Promise<{ most: number; perSecond: number }> {
  using time = new VirtualTime();
  const server = new StrictServer(time, servers);
  const all = parts.reduce((sum, part) => sum + part, 0);
  const limiters = parts.map(() => new RateLimiter({ limitPerSecond: LIMIT, clock: time.clock }));
  for (const [i, limiter] of limiters.entries()) {
    limiter.setShare((parts[i] ?? 0) / all);
    server.call(limiter, LIMIT * (seconds + 2));
  }
  await time.run(1_000 * (seconds + 1), ours);
  for (const limiter of limiters) limiter.close(new Error('over'));
  const steady = server.arrivals.filter((at) => at >= 3_000);
  return { most: server.most, perSecond: (steady.length * 1000) / (1_000 * (seconds + 1) - 3_000) };
}

describe('RateLimiter', () => {
  // Guards the loop over unwanted waiters in #pump.
  it('spends nothing on who is not wanted any more when the turn comes', async () => {
    const limiter = new RateLimiter({ limitPerSecond: 1, clock: systemClock });
    const unwanted = Array.from({ length: 1000 }, () => limiter.take(() => false));
    const wanted = limiter.take();
    limiter.setShare(1);
    expect(new Set(await Promise.all(unwanted))).toEqual(new Set([null]));
    expect(await wanted).not.toBeNull();
    limiter.close(new Error('over'));
  });

  it('lets calls through where the share is less than one a second', async () => {
    const limiter = new RateLimiter({ limitPerSecond: 5, clock: systemClock });
    limiter.setShare(0.1);
    expect(await limiter.take()).not.toBeNull();
    limiter.close(new Error('over'));
  });

  it('gives those behind only what the others leave', async () => {
    const limiter = new RateLimiter({ limitPerSecond: 200, clock: systemClock });
    const order: string[] = [];
    const take = async (name: 'first' | 'behind'): Promise<void> => {
      await limiter.take(() => true, name === 'behind');
      order.push(name);
    };
    const takes = [
      ...Array.from({ length: 20 }, () => take('behind')),
      ...Array.from({ length: 60 }, () => take('first')),
    ];
    limiter.setShare(1);
    await Promise.all(takes);
    expect(order.slice(0, 60)).toEqual(Array.from({ length: 60 }, () => 'first'));
    limiter.close(new Error('over'));
  });

  it('keeps the limit at a strict server, whatever stalls for 20 to 50 ms, and uses it', async () => {
    const seconds = 4;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom([1], [1, 1], [3, 3, 3, 3]),
        fc.tuple(stalls(seconds, 50), stalls(seconds, 40)),
        async (parts, pauses) => {
          const { most, perSecond } = await backlog(parts, seconds, pauses);
          expect(most).toBeLessThanOrEqual(LIMIT);
          expect(perSecond).toBeGreaterThanOrEqual(0.97 * LIMIT);
        },
      ),
      { numRuns: 4, endOnFailure: true },
    );
  }, 60_000);

  it('uses 98.5 percent of the limit where both sides stall for 20 ms once a second', async () => {
    const ours: Stall[] = [100, 1_600, 2_300, 3_700, 4_200].map((at) => [at, 20]);
    const servers: Stall[] = [500, 1_200, 2_900, 3_300, 4_800].map((at) => [at, 20]);
    const { most, perSecond } = await backlog([1], 4, [ours, servers]);
    expect(most).toBeLessThanOrEqual(LIMIT);
    expect(perSecond).toBeGreaterThanOrEqual(0.985 * LIMIT);
  }, 60_000);

  it('has a stream below the limit on time again as soon as a stall is over', async () => {
    const perSecond = 0.9 * LIMIT;
    const ours: Stall[] = Array.from({ length: 12 }, (_, i) => [
      3_000 + i * 500,
      20 + (i % 4) * 20,
    ]);
    using time = new VirtualTime();
    const server = new StrictServer(time);
    const limiter = new RateLimiter({ limitPerSecond: LIMIT, clock: time.clock });
    limiter.setShare(1);
    const waits: number[] = [];
    let asked = 0;
    const ask = (): void => {
      for (; asked * (1_000 / perSecond) <= time.nowMs - 1_100; asked++) {
        const dueMs = 1_100 + asked * (1_000 / perSecond);
        void server.one(limiter).then(() => waits.push(time.nowMs - dueMs));
      }
      if (time.nowMs < 9_000) setTimeout(ask, 1);
    };
    setTimeout(ask, 1);
    await time.run(10_000, ours);
    limiter.close(new Error('over'));
    expect(server.most).toBeLessThanOrEqual(LIMIT);
    expect(waits).toHaveLength(asked);
    const sorted = waits.toSorted((a, b) => a - b);
    expect(sorted[Math.floor(0.5 * sorted.length)]).toBeLessThan(2);
    expect(sorted[Math.floor(0.99 * sorted.length)]).toBeLessThan(80);
    // Those of the stalls themselves are a tenth.
    expect(waits.filter((ms) => ms > 5).length / waits.length).toBeLessThan(0.2);
  });

  it('keeps the limit at a server that stands still for a seventh of the time', async () => {
    const servers: Stall[] = Array.from({ length: 12 }, (_, i) => [
      700 + i * 497,
      40 + (i % 4) * 20,
    ]);
    const { most, perSecond } = await backlog([1], 5, [[], servers]);
    expect(most).toBeLessThanOrEqual(LIMIT);
    expect(perSecond).toBeGreaterThanOrEqual(0.98 * LIMIT);
  });

  it('keeps the limit of the project while shares pass from one instance to the other', async () => {
    const share = fc.constantFrom(0, 0.25, 1 / 3, 0.5, 1);
    const changes = fc.array(fc.tuple(fc.integer({ min: 100, max: 1_500 }), share), {
      minLength: 2,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(changes, stalls(6, 50), async (rebalances, pauses) => {
        using time = new VirtualTime();
        const server = new StrictServer(time);
        const options = { limitPerSecond: LIMIT, clock: time.clock };
        const limiters = [new RateLimiter(options), new RateLimiter(options)] as const;
        limiters[0].setShare(1);
        for (const limiter of limiters) server.call(limiter, 4_000);
        let atMs = 1_200;
        await time.run(atMs, pauses);
        for (const [afterMs, first] of rebalances) {
          // A rebalance: everyone stops, and then is told of its part.
          for (const limiter of limiters) limiter.setShare(0);
          limiters[0].setShare(first);
          limiters[1].setShare(1 - first);
          await time.run((atMs += afterMs), pauses);
        }
        for (const limiter of limiters) limiter.close(new Error('over'));
        expect(server.most).toBeLessThanOrEqual(LIMIT);
      }),
      { numRuns: 4, endOnFailure: true },
    );
  }, 60_000);
});
