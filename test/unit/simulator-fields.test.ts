import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  FieldTypes,
  fieldTypeOf,
  fits,
  isDeeperThan,
  isIterableDate,
  type DataFields,
} from '../../src/simulator/fields.ts';

const USER = { category: 'user' } as const;

function put(types: FieldTypes, fields: DataFields, createNewFields = true): boolean {
  const draft = types.draft();
  draft.check(USER, fields, createNewFields);
  if (draft.mismatches.length > 0) return false;
  draft.commit();
  return true;
}

describe('dates', () => {
  test.each([
    '2026-01-13',
    '2026-01-13 14:30:45',
    '2026-01-13 14:30:45 +02:00',
    '2026-01-13T14:30:45.123Z',
    '2026-01-13T14:30:45.123-05:00',
    '2024-02-29',
  ])('%s is a date', (text) => expect(isIterableDate(text)).toBe(true));

  test.each([
    '2026-01-13 14:30:45.123',
    '2026-02-29',
    '2026-13-01',
    '2026-00-10',
    '2026-01-00 10:00:00',
    '2026-01-13 24:30:45',
    '2026-1-13',
    '20260113',
    'pro',
    '',
  ])('%j is just a string', (text) => expect(isIterableDate(text)).toBe(false));
});

describe('field types', () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.string(),
    fc.constant('2026-01-13'),
    fc.constant([1]),
    fc.constant({}),
  );

  test('are those of the first value that is not null, and later values have to fit it', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(value), (name, values) => {
        const types = new FieldTypes();
        let first: ReturnType<typeof fieldTypeOf> = null;
        for (const each of values) {
          const incoming = fieldTypeOf(each);
          const accepted = put(types, Object.fromEntries([[name, each]]));
          expect(accepted).toBe(incoming === null || first === null || fits(first, incoming));
          if (accepted) first ??= incoming;
          expect(types.of(USER).get(name)).toBe(first ?? undefined);
        }
      }),
    );
  });

  test('a field fixed as string takes dates too, one fixed as date takes no other string', () => {
    const types = new FieldTypes();
    expect(put(types, { note: 'hello', since: '2026-01-13' })).toBe(true);
    expect(put(types, { note: '2026-01-13' })).toBe(true);
    expect(put(types, { since: '2026-01-13 14:30:45.123' })).toBe(false);
  });

  test('a refused call fixes none', () => {
    const types = new FieldTypes();
    put(types, { plan: 'pro' });
    expect(put(types, { fresh: 1, plan: 7 })).toBe(false);
    expect([...types.of(USER).keys()]).toEqual(['plan']);
  });

  test('fields inside objects have types of their own', () => {
    const types = new FieldTypes();
    expect(put(types, { address: { zip: '78701' } })).toBe(true);
    expect(put(types, { address: { zip: 78701 } })).toBe(false);
    expect(put(types, { address: 'Austin' })).toBe(false);
  });

  test('events of another name do not share them with each other or with profiles', () => {
    const types = new FieldTypes();
    const draft = types.draft();
    draft.check(USER, { page: 'x' }, true);
    draft.check({ category: 'event', eventName: 'a' }, { page: 1 }, true);
    draft.check({ category: 'event', eventName: 'b' }, { page: true }, true);
    expect(draft.mismatches).toEqual([]);
  });

  test('within one batch the first item decides', () => {
    const draft = new FieldTypes().draft();
    draft.check(USER, { n: 1 }, true);
    draft.check(USER, { n: '1' }, true);
    expect(draft.mismatches).toMatchObject([
      { field: 'n', expected: 'number', incoming: 'string' },
    ]);
  });

  test('without createNewFields, unknown fields are left out and reported', () => {
    const types = new FieldTypes();
    put(types, { plan: 'pro' });
    const draft = types.draft();
    const stored = draft.check(USER, { plan: 'free', fresh: 1 }, false);
    expect({ ...stored }).toEqual({ plan: 'free' });
    expect([...draft.filteredOut]).toEqual(['fresh']);
  });

  test('hostile names are names like others', () => {
    const types = new FieldTypes();
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(put(types, JSON.parse(`{"${name}":1}`) as DataFields)).toBe(true);
      expect(put(types, JSON.parse(`{"${name}":"x"}`) as DataFields)).toBe(false);
    }
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

test('nesting is measured without following it further than asked', () => {
  const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown;
  expect(isDeeperThan(deep, 32)).toBe(true);
  expect(isDeeperThan({ a: { b: [1] } }, 3)).toBe(false);
  expect(isDeeperThan({ a: { b: [1] } }, 2)).toBe(true);
});
