import { describe, expect, it } from 'vitest';
import { Watch } from '../../src/topics/kafka/watch.ts';

/** A watch whose consumer has joined at 0 and hears from its group all the time. */
function joined(): Watch {
  const watch = new Watch(0);
  watch.joined(0);
  return watch;
}

const behind = (next: number) => [{ key: 'views/3', next, end: 100 }];

describe('the watch over a consumer', () => {
  it('finds no fault while nobody else is answered either', () => {
    const watch = joined();
    watch.at(behind(7), 0);
    expect(watch.fault(null, 60_000)).toBeNull();
    expect(watch.fault(57_000, 60_000)).toBeNull();
  });

  it('finds a partition that stands still before messages for 5 s', () => {
    const watch = joined();
    watch.at(behind(7), 1_000);
    watch.heard(5_900);
    watch.at(behind(7), 5_900);
    expect(watch.fault(0, 5_900)).toBeNull();
    expect(watch.fault(0, 6_000)).toBe('nothing comes of views/3 from offset 7 on');
    watch.at(behind(8), 6_000);
    expect(watch.fault(0, 6_000)).toBeNull();
  });

  it('finds no fault where messages wait for room, or there are none', () => {
    const watch = joined();
    watch.at([{ key: 'views/3', next: 100, end: 100 }], 0);
    watch.heard(60_000);
    expect(watch.fault(0, 60_000)).toBeNull();
    watch.at(behind(7), 60_000);
    watch.handing('views/3', 60_000);
    watch.heard(120_000);
    watch.at(behind(7), 120_000);
    expect(watch.fault(0, 120_000)).toBeNull();
    // Room again: from here on they have to come.
    watch.handing(null, 120_000);
    watch.at(behind(7), 120_000);
    expect(watch.fault(0, 120_000)).toBeNull();
    watch.heard(125_000);
    expect(watch.fault(0, 125_000)).toContain('nothing comes of views/3');
  });

  it('finds a group that is silent, and leaves a rebalance its time', () => {
    const watch = joined();
    watch.heard(1_000);
    expect(watch.fault(0, 10_999)).toBeNull();
    expect(watch.fault(0, 11_000)).toBe('the group gives no answer');
    watch.joining(11_000);
    expect(watch.fault(0, 30_999)).toBeNull();
    expect(watch.fault(0, 31_000)).toBe('the group could not be joined');
  });

  it('blames nobody for what it did not hear while the process got no time', () => {
    const watch = joined();
    watch.slept(30_000);
    expect(watch.fault(0, 30_000)).toBeNull();
    expect(watch.fault(0, 40_000)).toBe('the group gives no answer');
  });

  it('finds a commit without an answer', () => {
    const watch = joined();
    watch.committing(0);
    watch.heard(10_000);
    expect(watch.fault(0, 10_000)).toBe('a commit of offsets gets no answer');
    watch.committing(null);
    expect(watch.fault(0, 10_000)).toBeNull();
  });

  // A transaction that stays open may keep messages back for as long as it likes.
  it('is more patient each time that another consumer did not help', () => {
    const watch = joined();
    watch.at(behind(7), 0);
    expect(watch.fault(0, 5_000)).not.toBeNull();
    watch.replaced(5_000);
    watch.joined(6_000);
    watch.at(behind(7), 6_000);
    watch.heard(15_900);
    expect(watch.fault(0, 15_900)).toBeNull();
    watch.heard(16_000);
    expect(watch.fault(0, 16_000)).not.toBeNull();
    watch.at(behind(9), 16_000);
    watch.heard(21_000);
    expect(watch.fault(0, 21_000)).not.toBeNull();
  });

  it('leaves an outage behind 4 s after others do', () => {
    const watch = joined();
    expect(watch.fault(30_000, 33_900)).toBeNull();
    expect(watch.fault(30_000, 34_000)).toBe('the group gives no answer');
  });

  it('has all its patience with a group again once the new consumer hears from it', () => {
    const watch = joined();
    expect(watch.fault(0, 10_000)).not.toBeNull();
    watch.replaced(10_000);
    watch.joined(11_000);
    watch.heard(12_000);
    expect(watch.fault(0, 21_900)).toBeNull();
    expect(watch.fault(0, 22_000)).toBe('the group gives no answer');
    watch.replaced(22_000);
    watch.joined(23_000);
    expect(watch.fault(0, 42_900)).toBeNull();
    expect(watch.fault(0, 43_000)).not.toBeNull();
  });

  it('names what is waited for, and since when', () => {
    const watch = joined();
    watch.heard(9_500);
    watch.fetching(2, 3_000);
    watch.fetching(1, 8_900);
    watch.handing('views/3', 7_000);
    expect(watch.waits(10_000)).toEqual([
      { what: 'room for the messages of views/3', seconds: 3 },
      { what: 'messages of broker 2', seconds: 7 },
    ]);
  });
});
