import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { percentile, slidingMaximum } from '../../bench/statistics.ts';

describe('bench statistics', () => {
  it('names the value that the given part of the values lies below', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(percentile(values, 0.5)).toBe(51);
    expect(percentile(values, 0.99)).toBe(100);
    expect(percentile([], 0.5)).toBeNaN();
  });

  it('finds the fullest window, however it is laid', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200), { minLength: 1, maxLength: 80 }), (values) => {
        const slow = Math.max(
          ...values.map((from) => values.filter((at) => at >= from && at < from + 50).length),
        );
        expect(slidingMaximum(values, 50)).toBe(slow);
      }),
    );
  });
});
