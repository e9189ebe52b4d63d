import { describe, expect, it } from 'vitest';
import { isLost } from '../../src/topics/group-position.ts';
import { Ends } from '../../src/topics/kafka/losses.ts';

const at = (saved: number, low: number, high: number) => ({
  topic: 'views',
  partition: 0,
  saved,
  mark: '',
  low,
  high,
});

describe('messages that went before a group read them', () => {
  it.each([
    ['retention took them', at(10, 11, 20), true, true],
    ['the log ends before where the group was', at(10, 0, 9), true, true],
    ['kafkajs began anew because they were not there', at(-2, 0, 9), false, true],
    ['the group has offsets, and none here', at(-1, 0, 9), true, true],
    ['a new group comes when some are gone already', at(-1, 3, 9), false, true],
    ['a new group', at(-1, 0, 9), false, false],
    ['all was read', at(9, 0, 9), true, false],
    ['the next to read is the oldest', at(11, 11, 20), true, false],
  ])('are found: %s', (_, position, isKnown, expected) => {
    expect(isLost(position, isKnown)).toBe(expected);
  });

  it('are found in a log that ends earlier than before, once, and not at the first sight', () => {
    const ends = new Ends();
    expect(ends.shortened([at(5, 0, 9)])).toEqual([]);
    expect(ends.shortened([at(5, 0, 7)])).toEqual([]);
    expect(ends.shortened([at(5, 0, 9)])).toEqual([]);
    expect(ends.shortened([at(5, 0, 2)])).toEqual([]);
    expect(ends.shortened([at(5, 0, 2)])).toEqual([at(5, 0, 2)]);
    expect(ends.shortened([at(5, 0, 3)])).toEqual([]);
  });
});
