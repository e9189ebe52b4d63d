import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fieldValue, kindOfType } from '../../src/model/values.ts';
import { userReader } from '../../src/rule/eligible-user.ts';
import { trackedEvent, userUpdate } from '../../src/sinks/iterable/payloads.ts';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import { fieldsIn } from '../../src/model/found.ts';

describe('a value of a field', () => {
  it.each([
    ['integer', '9007199254740992', 9_007_199_254_740_992],
    ['integer', '-9007199254740993', '-9007199254740993'],
    ['integer', Buffer.from([1, 0]), 256],
    ['decimal', '0.10', 0.1],
    ['decimal', '-0.00', -0],
    ['decimal', '9007199254740993.5', '9007199254740993.5'],
    ['float', -1e300, -1e300],
    ['json', 'null', null],
    ['json', '{"a":[1.0,18446744073709551615]}', { a: [1, '18446744073709551615'] }],
    ['json', 'no JSON', 'no JSON'],
    ['time', '2026-01-13 14:30:45.999', '2026-01-13 14:30:45'],
    ['time', '0000-00-00 00:00:00', '0000-00-00 00:00:00'],
    ['text', Buffer.from('é'), 'é'],
    ['text', { x: 1, y: 2 }, '{"x":1,"y":2}'],
    ['integer', 'a text by now', 'a text by now'],
  ] as const)('of kind %s: %j is %j', (kind, value, json) => {
    expect(fieldValue(kind, value)).toEqual(json);
  });

  it('is NULL where the column is, and never an error', () => {
    const kinds = ['bigint', 'decimal', 'json', 'datetime', 'double', 'point'].map(kindOfType);
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.string(), (kind, text) => {
        expect(fieldValue(kind, null)).toBeNull();
        expect(() => fieldValue(kind, text)).not.toThrow();
        expect(() => fieldValue(kind, Buffer.from(text))).not.toThrow();
      }),
    );
  });
});

it('the default fields make the payloads byte for byte', () => {
  const text = (name: string) => ({ name, kind: 'text' }) as const;
  const fields = fieldsIn(DEFAULT_MODEL, {
    customers: ['first_name', 'last_name', 'plan_type', 'candidate'].map(text),
    page_views: ['page', 'device', 'location'].map(text),
  });
  const read = userReader(fields, ({ column }) => column.name);
  const row = {
    id: 9,
    email: 'kate@x.test',
    first_name: 'Kate',
    last_name: null,
    plan_type: 'pro',
    candidate: 'candidate-9',
    page_view_id: 14,
    page: 'pricing',
    device: 'mobile',
    location: null,
    event_time: '2026-01-13 14:30:45.5',
    event_epoch: '1768314645.5',
  };
  const user = { ...read(row), email: 'kate@x.test' };
  expect(JSON.stringify(userUpdate(user))).toBe(
    '{"email":"kate@x.test","dataFields":{"first_name":"Kate","plan_type":"pro","recent_page_view":true,"candidate":"candidate-9"}}',
  );
  expect(JSON.stringify(trackedEvent(user))).toBe(
    '{"email":"kate@x.test","eventName":"page_view","id":"page-view-14","createdAt":1768314645,"dataFields":{"page":"pricing","device":"mobile","timestamp":"2026-01-13 14:30:45","candidate":"candidate-9"}}',
  );
  const bare = { ...read({ ...row, candidate: null }), email: 'kate@x.test' };
  expect(JSON.stringify(userUpdate(bare).dataFields)).toBe(
    '{"first_name":"Kate","plan_type":"pro","recent_page_view":true}',
  );
});
