import { describe, expect, test } from 'vitest';
import { isEmail, readEvent, readUpdate } from '../../src/simulator/requests.ts';

const NOW_S = 1_768_400_000;
const email = 'sarah.johnson@email.com';
const event = { email, eventName: 'page_view', id: 'page-view-1', createdAt: 1_768_314_645 };

function refusal(read: ReturnType<typeof readEvent> | ReturnType<typeof readUpdate>): string {
  if (!('refusal' in read)) return 'accepted';
  return (JSON.parse(read.refusal.body) as { msg: string }).msg;
}

describe('users/update', () => {
  test.each([
    [{}, 'email or userId is required'],
    [{ email, userId: '1' }, 'not both'],
    [{ email, extra: 1 }, 'unknown property "extra"'],
    [JSON.parse(`{"email":"${email}","__proto__":{}}`), 'unknown property "__proto__"'],
    [{ email, toString: 1 }, 'unknown property "toString"'],
    [{ email: 7 }, 'email must be of type string'],
    [{ email: null }, 'email must be of type string'],
    [{ email, dataFields: [] }, 'dataFields must be of type object'],
    [{ email, dataFields: null }, 'dataFields must be of type object'],
    [{ email, mergeNestedObjects: 'true' }, 'mergeNestedObjects must be of type boolean'],
    [[], 'a JSON object is expected'],
    [null, 'a JSON object is expected'],
    [{ email, dataFields: {}, createNewFields: true, preferUserId: false }, 'accepted'],
    [{ userId: '17' }, 'accepted'],
  ])('%j: %s', (body, expected) => expect(refusal(readUpdate(body))).toContain(expected));
});

describe('events/track', () => {
  test.each([
    [{ ...event, eventName: undefined }, 'eventName must be of type string'],
    [{ email }, 'eventName is required'],
    [{ ...event, eventName: '' }, 'eventName is required'],
    [{ ...event, id: 'page_view_1' }, 'id must be'],
    [{ ...event, id: 'page view' }, 'id must be'],
    [{ ...event, id: '' }, 'id must be'],
    [{ ...event, id: 'a\n' }, 'id must be'],
    [{ ...event, id: 'a'.repeat(513) }, 'id must be'],
    [{ ...event, id: 1 }, 'id must be of type string'],
    [{ ...event, createdAt: 1_768_314_645.5 }, 'createdAt must be of type integer'],
    [{ ...event, createdAt: '1768314645' }, 'createdAt must be of type integer'],
    [{ ...event, createdAt: 1_768_314_645_000 }, 'createdAt must be a plausible time'],
    [{ ...event, createdAt: 0 }, 'createdAt must be a plausible time'],
    [{ ...event, timestamp: 'x' }, 'unknown property "timestamp"'],
    [{ ...event, id: 'a'.repeat(512), campaignId: 1, templateId: 2 }, 'accepted'],
    [{ email, eventName: 'x' }, 'accepted'],
  ])('%j: %s', (body, expected) => expect(refusal(readEvent(body, NOW_S))).toContain(expected));
});

describe('e-mail addresses', () => {
  test.each(['a@b.co', 'first.last+tag@mail.example.com', "o'neil@x-y.org", 'user1@example.com'])(
    '%s is one',
    (text) => expect(isEmail(text)).toBe(true),
  );
  test.each(['', '000', 'a@b', 'a b@c.de', ' a@b.co', 'a@b.co ', 'a@@b.co', '@b.co', 'a@.co'])(
    '%j is none',
    (text) => expect(isEmail(text)).toBe(false),
  );
  test('are checked in time that grows with their length only', () => {
    const begun = performance.now();
    isEmail(`${'a'.repeat(100)}@${'a.'.repeat(70)}!`);
    isEmail(`a@${'b.'.repeat(120)}`);
    expect(performance.now() - begun).toBeLessThan(50);
  });
});
