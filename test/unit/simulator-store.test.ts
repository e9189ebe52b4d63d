import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeProfile, Store } from '../../src/simulator/store.ts';
import type { Identity } from '../../src/simulator/requests.ts';
import type { DataFields } from '../../src/simulator/fields.ts';

const who = (email: string): Identity => ({
  email,
  userId: null,
  key: email.toLowerCase(),
  valid: true,
});
const view = (email: string, id: string | null, page: string) => ({
  identity: who(email),
  eventName: 'page_view',
  id,
  createdAt: 1_768_314_645,
  dataFields: { page },
  createNewFields: true,
});
const roomy = { usersMax: 1000, eventsMax: 1000 };

describe('events', () => {
  test('with an id exist once, with their latest content and with their latest user', () => {
    const one = fc.record({
      email: fc.constantFrom('a@x.io', 'A@x.io', 'b@x.io'),
      id: fc.constantFrom('page-view-1', 'page-view-2', 'page-view-3'),
      page: fc.string(),
    });
    fc.assert(
      fc.property(fc.array(one), (all) => {
        const store = new Store(roomy);
        const expected = new Map<string, { email: string; page: string }>();
        for (const { email, id, page } of all) {
          store.track(view(email, id, page), 0);
          expected.set(id, { email: email.toLowerCase(), page });
        }
        const held = [...store.users].flatMap(([email, { events }]) =>
          [...events].map(([id, { dataFields }]) => [id, { email, page: dataFields['page'] }]),
        );
        expect(new Map(held as [string, { email: string; page: string }][])).toEqual(expected);
        expect(held).toHaveLength(expected.size);
        const { repeatedEvents, movedEvents } = store.counts();
        expect(repeatedEvents + movedEvents).toBe(all.length - expected.size);
      }),
    );
  });

  test('without an id get one each', () => {
    const store = new Store(roomy);
    const first = store.track(view('a@x.io', null, 'pricing'), 0);
    const second = store.track(view('a@x.io', null, 'pricing'), 0);
    expect(first).not.toBe(second);
    expect(store.users.get('a@x.io')?.events.size).toBe(2);
  });

  test('for a user without a profile are counted', () => {
    const store = new Store(roomy);
    store.track(view('a@x.io', 'page-view-1', 'pricing'), 0);
    const update = { identity: who('a@x.io'), dataFields: {}, createNewFields: true };
    store.update({ ...update, mergeNestedObjects: false }, 0);
    store.track(view('a@x.io', 'page-view-2', 'pricing'), 0);
    expect(store.counts().eventsWithoutUpdate).toBe(1);
  });

  test('and users are forgotten oldest first when a bound is reached, and that is counted', () => {
    const store = new Store({ usersMax: 2, eventsMax: 3 });
    for (const n of [1, 2, 3]) {
      store.track(view(`u${n}@x.io`, `a-${n}`, 'pricing'), 0);
      store.track(view(`u${n}@x.io`, `b-${n}`, 'pricing'), 0);
    }
    expect([...store.users.keys()]).toEqual(['u2@x.io', 'u3@x.io']);
    expect(store.counts()).toMatchObject({ users: 2, events: 3, droppedUsers: 1 });
    expect([...store.users.values()].flatMap(({ events }) => [...events.keys()])).toEqual([
      'b-2',
      'a-3',
      'b-3',
    ]);
  });
});

describe('profiles', () => {
  const merged = (current: DataFields, incoming: DataFields, nested = false): DataFields => {
    mergeProfile(current, incoming, nested);
    return current;
  };

  test('keep what an update does not name, and lose what it sets to null', () => {
    expect(merged({ a: 1, b: 2, c: 3 }, { b: null, c: 4 })).toEqual({ a: 1, c: 4 });
  });

  test('have objects replaced, or merged on demand', () => {
    const settings = { mobile: true };
    expect(merged({ settings }, { settings: { email: true } })).toEqual({
      settings: { email: true },
    });
    expect(merged({ settings }, { settings: { email: true } }, true)).toEqual({
      settings: { mobile: true, email: true },
    });
    expect(settings).toEqual({ mobile: true });
  });

  test('take a field named __proto__ for a field', () => {
    const hostile = JSON.parse('{"__proto__":{"polluted":true}}') as DataFields;
    for (const nested of [false, true]) {
      const profile = merged(merged({}, hostile, nested), hostile, nested);
      expect(JSON.stringify(profile)).toBe('{"__proto__":{"polluted":true}}');
      expect(Object.getPrototypeOf(profile)).toBe(Object.prototype);
    }
    expect(({} as DataFields)['polluted']).toBeUndefined();
  });
});
