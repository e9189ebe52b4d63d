import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CALL_RETRIES, retryDelayMs } from '../../src/retry-schedule.ts';

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('retryDelayMs', () => {
  it('doubles up to its maximum, between half the step and the step', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), random, (attempt, chance) => {
        const delay = retryDelayMs(CALL_RETRIES, attempt, chance);
        const step = Math.min(10_000, 250 * 2 ** Math.min(attempt - 1, 30));
        expect(delay).toBeGreaterThanOrEqual(step / 2);
        expect(delay).toBeLessThanOrEqual(step);
      }),
    );
  });

  it('never comes back before the time that the server named, nor before its own', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.nat(600_000),
        random,
        (attempt, retryAfterMs, chance) => {
          const delay = retryDelayMs(CALL_RETRIES, attempt, chance, retryAfterMs);
          expect(delay).toBeGreaterThanOrEqual(retryAfterMs);
          expect(delay).toBeGreaterThanOrEqual(retryDelayMs(CALL_RETRIES, attempt, chance));
        },
      ),
    );
  });
});
