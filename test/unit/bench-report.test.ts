import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { figureText, joined, summary } from '../../bench/figures.ts';
import { judged, ratioOf } from '../../bench/guard/guard.ts';
import { merged } from '../../bench/report.ts';

const HERE = { machine: 'two cores', node: '26', database: 'MySQL 9.7', kafka: '4.3', peers: {} };
const figure = (id: string, ...values: number[]) => ({ id, unit: 'rows/s', values });
const measured = { date: '2026-01-13', isQuick: false };
const tried = { date: '2026-01-12', isQuick: true };

describe('figures of the benchmarks', () => {
  it('have a median between the lowest and the highest, with half of the values on each side', () => {
    expect(summary([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(summary([4, 1, 2, 3]).median).toBe(2.5);
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const { median, min, max } = summary(values);
        expect(values.filter((value) => value <= median).length * 2).toBeGreaterThanOrEqual(
          values.length,
        );
        expect(min <= median && median <= max).toBe(true);
      }),
    );
    expect(() => summary([])).toThrow(RangeError);
  });

  it('are said with their spread, or with the reason why there are none', () => {
    expect(figureText(figure('a', 12_345))).toBe('12,345 rows/s');
    expect(figureText(figure('a', 12_345, 11_000, 13_000))).toBe('12,345 rows/s (11,000–13,000)');
    expect(figureText({ ...figure('a'), notMeasured: 'set MAXWELL_HOME' })).toBe(
      'not measured: set MAXWELL_HOME',
    );
  });

  it('are put together from their rounds', () => {
    expect(joined([figure('a', 1), figure('b', 5), figure('a', 2)])).toEqual([
      figure('a', 1, 2),
      figure('b', 5),
    ]);
  });
});

describe('the report of the benchmarks', () => {
  it('keeps what was measured before in the same surroundings', () => {
    const before = merged(null, HERE, [figure('a', 1), figure('b', 2)], measured);
    const { figures } = merged(before, HERE, [figure('b', 3)], measured);
    expect(figures.map(({ id, median }) => [id, median])).toEqual([
      ['a', 1],
      ['b', 3],
    ]);
  });

  it('has the versions of the other programs from the run that measured them', () => {
    const named = { ...HERE, peers: { maxwell: 'Maxwell 1.45' } };
    const before = merged(null, named, [figure('peers.a', 1)], measured);
    const beside = merged(before, HERE, [figure('a', 1)], measured);
    expect(beside).toMatchObject({ peers: named.peers });
    expect(beside.figures).toHaveLength(2);
    expect(merged(before, HERE, [figure('peers.a', 2)], measured).peers).toEqual({});
  });

  it('keeps nothing of another machine, and no trial beside what was measured', () => {
    const elsewhere = merged(null, { ...HERE, machine: 'ten' }, [figure('a', 1)], measured);
    expect(merged(elsewhere, HERE, [figure('b', 2)], measured).figures).toHaveLength(1);
    const trial = merged(null, HERE, [figure('a', 1)], tried);
    expect(merged(trial, HERE, [figure('b', 2)], tried).figures).toHaveLength(2);
    expect(merged(trial, HERE, [figure('b', 2)], measured).figures).toHaveLength(1);
  });
});

describe('the guard', () => {
  it('fails where a ratio is worse than its baseline by more than a third', () => {
    expect(judged('capture', 13, 10)).toMatchObject({ ok: true, bar: '≤ 13.3' });
    expect(judged('capture', 14, 10).ok).toBe(false);
    expect(judged('capture', 14, null).ok).toBeNull();
  });

  it('compares the least that each took, which a busy machine can only add to', () => {
    expect(ratioOf({ own: [9, 6, 30], reference: [8, 2, 3] })).toBe(3);
  });
});
