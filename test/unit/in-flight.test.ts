import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InFlight } from '../../src/in-flight.ts';

/** The slow and obvious way: the position after the longest finished prefix. */
function oracle(positions: readonly number[], finished: ReadonlySet<number>): number | null {
  let last: number | null = null;
  for (let i = 0; i < positions.length; i++) {
    if (!finished.has(i)) break;
    last = positions[i] ?? null;
  }
  return last;
}

describe('InFlight', () => {
  it('moves past the oldest unfinished item only, in whatever order items are finished', () => {
    const order = fc
      .integer({ min: 1, max: 60 })
      .chain((count) =>
        fc.shuffledSubarray([...Array(count).keys()]).map((done) => ({ count, done })),
      );
    fc.assert(
      fc.property(order, ({ count, done }) => {
        const flight = new InFlight<number>();
        const positions = Array.from({ length: count }, (_, i) => i * 3 + 1);
        const items = positions.map((position) => flight.add(position));
        const finished = new Set<number>();
        for (const index of done) {
          const item = items[index];
          if (item !== undefined) flight.finish(item);
          finished.add(index);
          expect(flight.finishedPosition).toBe(oracle(positions, finished));
        }
        const unfinished = count - finished.size;
        expect(flight.size).toBeGreaterThanOrEqual(unfinished);
        expect(flight.size).toBeLessThanOrEqual(2 * unfinished);
      }),
    );
  });

  it('says nothing is finished before the first item is', () => {
    const flight = new InFlight<number>();
    flight.add(1);
    const second = flight.add(2);
    flight.finish(second);
    expect(flight.finishedPosition).toBeNull();
    expect(flight.size).toBe(2);
  });

  it('keeps two things, not a million, behind one that does not end', () => {
    const flight = new InFlight<number>();
    const stuck = flight.add(0);
    for (let i = 1; i <= 1_000_000; i++) flight.finish(flight.add(i));
    expect(flight.size).toBe(2);
    expect(flight.finishedPosition).toBeNull();
    flight.finish(stuck);
    expect(flight.finishedPosition).toBe(1_000_000);
    expect(flight.size).toBe(0);
  });

  it('is not confused by an item that is finished twice, or by a hundred thousand of them', () => {
    const flight = new InFlight<number>();
    for (let i = 0; i < 100_000; i++) {
      const item = flight.add(i);
      flight.finish(item);
      flight.finish(item);
    }
    expect(flight.finishedPosition).toBe(99_999);
    expect(flight.size).toBe(0);
  });
});
