const NUMBERS = 2 ** 31;

/** The number after `count` records from `sequence` on: after the last of 31 bits comes 0. */
export const nextSequence = (sequence: number, count: number): number =>
  (sequence + count) % NUMBERS;
