import { describe, expect, it } from 'vitest';
import { LookPace } from '../../src/deliver/look-pace.ts';

const paced = (tookMs: number): LookPace => {
  const pace = new LookPace();
  for (let i = 0; i < 100; i++) pace.ended(tookMs);
  return pace;
};

describe('LookPace', () => {
  it('lets whoever comes after a pause be looked at at once', () => {
    const pace = paced(2);
    expect(pace.waitMs(0)).toBe(0);
    pace.began(0);
    expect(pace.waitMs(3)).toBe(0);
  });

  it('lets those who come shortly after others wait, and be looked at together', () => {
    const pace = paced(2);
    pace.began(100);
    expect(pace.waitMs(101)).toBeCloseTo(2);
    expect(pace.waitMs(102.5)).toBeCloseTo(0.5);
  });

  it('lets nobody wait for more than 10 ms, however slow the database is', () => {
    const pace = paced(500);
    pace.began(100);
    expect(pace.waitMs(100)).toBe(10);
  });
});
