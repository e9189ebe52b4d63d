import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CALLERS_IN_A_ROW, FailureRun } from '../../src/sinks/iterable/failure-run.ts';

const event = fc.record({ id: fc.integer({ min: 1, max: 12 }), isOk: fc.boolean() });

describe('FailureRun', () => {
  it('never takes Iterable for down because of those that failed before, however many they are', () => {
    const run = new FailureRun();
    for (let i = 0; i < 10_000; i++) {
      expect(run.failed({ id: String(i % 100), isRetry: true })).not.toBe('down');
    }
    expect(run.failed({ id: 'one', isRetry: true })).toBe('doubtful');
    run.answered();
    expect(run.failed({ id: 'one', isRetry: true })).toBe('alone');
  });

  it('takes it for down when first tries of different callers fail, and none succeeds between', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const run = new FailureRun();
        let failing = new Set<number>();
        for (const { id, isOk } of events) {
          if (isOk) {
            run.succeeded();
            failing = new Set();
            continue;
          }
          failing.add(id);
          const sign = run.failed({ id: String(id), isRetry: false });
          expect(sign === 'down').toBe(failing.size >= CALLERS_IN_A_ROW);
        }
      }),
    );
  });

  it('takes callers without a name for different ones', () => {
    const run = new FailureRun();
    const signs = Array.from({ length: 5 }, () => run.failed({ id: null, isRetry: false }));
    expect(signs).toEqual(['alone', 'alone', 'alone', 'alone', 'down']);
  });
});
