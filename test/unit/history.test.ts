import { describe, expect, it } from 'vitest';
import { type AcceptedCall, History, type Version } from '../support/history.ts';

const EMAIL = 'a@example.com';

function answer(view: number, name = 'Ann', email = EMAIL): NonNullable<Version> {
  return {
    userId: '7',
    email,
    profile: { first_name: name, plan_type: 'pro' },
    eventId: `page-view-${view}`,
    event: { createdAt: view, dataFields: { page: 'pricing' } },
  };
}

function update({ email, profile }: NonNullable<Version>): AcceptedCall {
  return {
    endpoint: 'users/update',
    email,
    eventId: null,
    createdAt: null,
    dataFields: profile,
  };
}

function track({ email, eventId, event }: NonNullable<Version>): AcceptedCall {
  const { createdAt, dataFields } = event as { createdAt: number; dataFields: object };
  return { endpoint: 'events/track', email, eventId, createdAt, dataFields: { ...dataFields } };
}

const both = (version: NonNullable<Version>): AcceptedCall[] => [update(version), track(version)];

function kinds(versions: Version[], calls: AcceptedCall[], changesHands = false): string[] {
  const history = new History();
  for (const version of versions) history.committed('7', version);
  for (const call of calls) history.accepted(call);
  return history.check({ changesHands }).map(({ kind }) => kind);
}

const [first, second, third] = [answer(1), answer(2), answer(3, 'Zoë')];

describe('a history without fault', () => {
  it.each([
    ['every answer was taken', [first, second, third], [first, second, third].flatMap(both)],
    ['answers were passed over', [first, second, third], both(third)],
    ['a crash repeated calls', [first, second], [...both(first), update(first), ...both(second)]],
    ['nobody is eligible any more', [first, null], both(first)],
    ['nobody ever was', [null], []],
    ['the address changed', [first, answer(1, 'Ann', 'b@x.de')], both(answer(1, 'Ann', 'b@x.de'))],
    ['an answer came back', [first, third, first], [first, third, first].flatMap(both)],
  ] as const)('has no problem: %s', (_, versions, calls) => {
    expect(kinds([...versions], [...calls])).toEqual([]);
  });
});

describe('a planted fault', () => {
  it.each([
    ['a lost row', [first, second], both(first), ['hole']],
    ['a user who never came', [first], [], ['hole', 'hole']],
    ['a lost event', [first], [update(first)], ['hole']],
    ['a lost change of the profile', [first, answer(1, 'Bob')], both(first), ['hole']],
    [
      'a swapped order',
      [first, third],
      [...both(third), ...both(first)],
      ['order', 'order', 'hole'],
    ],
    [
      'an old profile at the end',
      [first, third],
      [...both(third), update(first)],
      ['order', 'hole'],
    ],
    ['an answer that never was', [first], [...both(first), track(second)], ['phantom']],
    [
      'a stranger',
      [first],
      [...both(first), ...both(answer(9, 'X', 'x@y.z'))],
      ['phantom', 'phantom'],
    ],
    ['an event before its profile', [first], [track(first), update(first)], ['pair']],
    ['the old address alone', [first, answer(1, 'Ann', 'b@x.de')], both(first), ['hole', 'hole']],
  ] as const)('is found: %s', (_, versions, calls, found) => {
    expect(kinds([...versions], [...calls])).toEqual(found);
  });

  it('lets an event follow a newer one only where users change hands, and never a profile', () => {
    const late = [...both(second), track(first)];
    expect(kinds([first, second], late)).toEqual(['order']);
    expect(kinds([first, second], late, true)).toEqual([]);
    expect(kinds([first, third], [...both(third), update(first)], true)).toContain('order');
  });

  it('is found: a checkpoint that is saved before the work is done', () => {
    // A stream in small: rows, a saved place, a kill after each call in turn.
    const rows = [first, second, third];
    const killedAt = (calls: number, savesEarly: boolean): string[] => {
      const taken: AcceptedCall[] = [];
      let saved = 0;
      const live = (callsMax: number): void => {
        for (let at = saved; at < rows.length; at++) {
          if (savesEarly) saved = at + 1;
          for (const call of both(rows[at]!)) {
            if (taken.length >= callsMax) return;
            taken.push(call);
          }
          saved = at + 1;
        }
      };
      live(calls);
      live(Number.POSITIVE_INFINITY);
      return kinds(rows, taken);
    };
    const kills = [0, 1, 2, 3, 4, 5];
    expect(kills.flatMap((at) => killedAt(at, false))).toEqual([]);
    expect(kills.flatMap((at) => killedAt(at, true))).toContain('hole');
  });
});
