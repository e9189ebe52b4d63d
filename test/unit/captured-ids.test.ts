import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CapturedIds, WORD_IDS } from '../../src/source/mysql/audit/captured-ids.ts';

const id = fc.integer({ min: 1, max: 400 });
const step = fc.oneof(
  { weight: 20, arbitrary: id.map((value) => ({ kind: 'add' as const, value })) },
  { weight: 1, arbitrary: id.map((value) => ({ kind: 'forget' as const, value })) },
  { weight: 3, arbitrary: id.map((value) => ({ kind: 'ask' as const, value })) },
);

describe('ids that the log has shown', () => {
  it('are those that were added above the floor, in whatever order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const captured = new CapturedIds();
        const model = new Set<number>();
        let floor = 0;
        for (const { kind, value } of steps) {
          if (kind === 'add') {
            captured.add(value);
            model.add(value);
          } else if (kind === 'forget') {
            floor = Math.max(floor, value);
            captured.forgetTo(floor);
          } else {
            const first = Math.floor(value / WORD_IDS) * WORD_IDS;
            const all = Array.from({ length: WORD_IDS }, (_, i) => first + i);
            const missing = captured.missing(first / WORD_IDS, -1).filter((n) => Number(n) > floor);
            expect(missing).toEqual(all.filter((n) => n > floor && !model.has(n)));
          }
        }
      }),
    );
  });

  it('are known too where they are text, and not beyond the bound', () => {
    const captured = new CapturedIds(2);
    captured.add('18446744073709551615');
    captured.add(1);
    expect(captured.isFull).toBe(false);
    expect(captured.missing('576460752303423487', 1 << 31)).toEqual([]);
    captured.add(1_000);
    expect(captured.isFull).toBe(true);
  });
});
