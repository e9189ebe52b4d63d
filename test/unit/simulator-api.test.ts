import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startSimulator, type Simulator } from '../../src/simulator/simulator.ts';

const KEY = 'test-key';
const email = 'Sarah.Johnson@email.com';
const stored = 'sarah.johnson@email.com';
const update = { email, dataFields: { plan_type: 'pro', candidate: true } };
const event = {
  email,
  eventName: 'page_view',
  id: 'page-view-1',
  createdAt: 1_768_314_645,
  dataFields: { page: 'pricing', timestamp: '2026-01-13 14:30:45' },
};

interface Reply {
  status: number;
  body: Record<string, unknown>;
}

async function call(
  simulator: Simulator,
  path: string,
  body?: unknown,
  headers: Record<string, string> = { 'Api-Key': KEY },
): Promise<Reply> {
  const response = await fetch(`${simulator.url}/api/${path}`, {
    headers,
    ...(body === undefined
      ? {}
      : { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Reply['body'] };
}

describe('the API', () => {
  let simulator: Simulator;
  beforeAll(async () => {
    simulator = await startSimulator({
      port: 0,
      apiKeys: [KEY],
      limits: 'off',
      disallowedEvents: ['forbidden_event'],
      fieldsMax: 50,
    });
  });
  beforeEach(() => simulator.reset());
  afterAll(() => simulator[Symbol.asyncDispose]());

  test('holds the profile and the event, under the lower-cased address', async () => {
    expect(await call(simulator, 'users/update', update)).toEqual({
      status: 200,
      body: { msg: '', code: 'Success', params: null },
    });
    expect(await call(simulator, 'events/track', event)).toEqual({
      status: 200,
      body: { msg: '', code: 'Success', params: { id: 'page-view-1' } },
    });
    expect([...simulator.users.keys()]).toEqual([stored]);
    const user = simulator.users.get(stored);
    expect(user?.dataFields).toEqual(update.dataFields);
    expect(user?.events.get('page-view-1')).toMatchObject({
      createdAt: event.createdAt,
      dataFields: event.dataFields,
    });
  });

  test('updates an event that is tracked again', async () => {
    await call(simulator, 'events/track', event);
    await call(simulator, 'events/track', { ...event, dataFields: { page: 'settings' } });
    const events = simulator.users.get(stored)?.events;
    expect(events?.size).toBe(1);
    expect(events?.get('page-view-1')).toMatchObject({ dataFields: { page: 'settings' } });
    expect(simulator.stats().state.repeatedEvents).toBe(1);
  });

  test.each([
    ['no key', {}],
    ['an empty key', { 'Api-Key': '' }],
    ['a wrong key', { 'Api-Key': 'other' }],
  ])('refuses %s with 401 BadApiKey', async (_name, headers) => {
    const reply = await call(simulator, 'users/update', update, headers);
    expect(reply).toMatchObject({ status: 401, body: { code: 'BadApiKey' } });
    expect(simulator.users.size).toBe(0);
  });

  test.each([
    ['{"email":', 400, 'BadJsonBody'],
    ['', 400, 'BadJsonBody'],
    ['['.repeat(1_000_000), 400, 'BadJsonBody'],
    [{ ...update, plan: 'pro' }, 400, 'BadParams'],
    [{ ...update, userId: '1' }, 400, 'BadParams'],
    [{ ...update, email: 'sarah' }, 400, 'InvalidEmailAddressError'],
    [{ userId: 'x'.repeat(53) }, 400, 'InvalidUserIdError'],
    ['x'.repeat(4 * 1024 * 1024 + 1), 413, 'BatchTooLarge'],
  ])('refuses the body %#', async (body, status, code) => {
    expect(await call(simulator, 'users/update', body)).toMatchObject({ status, body: { code } });
    expect(simulator.users.size).toBe(0);
  });

  test('refuses bytes that are not UTF-8', async () => {
    const response = await fetch(`${simulator.url}/api/users/update`, {
      method: 'POST',
      headers: { 'Api-Key': KEY },
      body: Buffer.from('{"email":"a@b.co","dataFields":{"name":"\xe9"}}', 'latin1'),
    });
    expect(response.status).toBe(400);
  });

  test('refuses a value of another type, changes nothing, and says which', async () => {
    await call(simulator, 'users/update', update);
    const wrong = { email, dataFields: { plan_type: 'free', candidate: 'yes' } };
    const reply = await call(simulator, 'users/update', wrong);
    expect(reply).toMatchObject({
      status: 400,
      body: {
        code: 'RequestFieldsTypesMismatched',
        params: {
          validationErrors: {
            candidate: { expectedType: 'boolean', incomingTypes: ['string', 'keyword'] },
          },
        },
      },
    });
    expect(simulator.users.get(stored)?.dataFields).toEqual(update.dataFields);
  });

  test('refuses more unique fields than a project may have', async () => {
    const dataFields = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`f${i}`, i]));
    const reply = await call(simulator, 'users/update', { email, dataFields });
    expect(reply.body['code']).toBe('UniqueFieldsLimitExceeded');
  });

  test('answers 200 for a disallowed event, says so in the message, and does not keep it', async () => {
    const reply = await call(simulator, 'events/track', { ...event, eventName: 'forbidden_event' });
    expect(reply.status).toBe(200);
    expect(reply.body['msg']).toContain('is disallowed from tracking');
    expect(simulator.users.size).toBe(0);
  });

  test('reads back what it holds', async () => {
    await call(simulator, 'users/update', update);
    await call(simulator, 'events/track', event);
    await call(simulator, 'events/track', {
      ...event,
      id: 'page-view-2',
      createdAt: 1_768_314_646,
    });
    for (const path of [`users/getByEmail?email=${encodeURIComponent(email)}`, `users/${email}`]) {
      const { body } = await call(simulator, path);
      expect(body).toMatchObject({ user: { email: stored, dataFields: update.dataFields } });
    }
    const { body } = await call(simulator, `events/${encodeURIComponent(email)}?limit=1`);
    expect(body['events']).toHaveLength(1);
    expect(body).toMatchObject({
      events: [{ id: 'page-view-2', createdAt: '2026-01-13 14:30:46 +00:00' }],
    });
    expect((await call(simulator, 'users/getFields')).body).toEqual({
      fields: { plan_type: 'string', candidate: 'boolean' },
    });
    expect((await call(simulator, 'channels')).body['channels']).not.toHaveLength(0);
    expect(await call(simulator, 'users/getByEmail?email=nobody@x.io')).toEqual({
      status: 200,
      body: {},
    });
    expect((await call(simulator, `events/${email}?limit=201`)).status).toBe(400);
    expect((await call(simulator, 'events/%ff')).status).toBe(400);
    expect((await call(simulator, 'users/unknown/path')).status).toBe(404);
  });

  test('answers batches with failures keyed by lower-cased address', async () => {
    await simulator.setFaults({ forgotten: ['Gone@x.io'] });
    const users = [
      update,
      { email: 'INVALID' },
      { email: 'Gone@X.io' },
      { email: 'b@x.io', dataFields: { plan_type: 'free', fresh: 1 } },
    ];
    const { status, body } = await call(simulator, 'users/bulkUpdate', { users });
    await simulator.setFaults({});
    expect(status).toBe(200);
    expect(body).toMatchObject({
      successCount: 2,
      failCount: 2,
      createdFields: ['plan_type', 'candidate', 'fresh'],
      filteredOutFields: [],
      invalidEmails: ['invalid'],
      failedUpdates: { invalidEmails: ['invalid'], forgottenEmails: ['gone@x.io'] },
    });
    expect([...simulator.users.keys()]).toEqual([stored, 'b@x.io']);
  });

  test('answers batches of events with the names that are disallowed', async () => {
    const events = [event, { ...event, eventName: 'forbidden_event' }, { ...event, email: 'no' }];
    const { body } = await call(simulator, 'events/trackBulk', { events });
    expect(body).toMatchObject({
      successCount: 1,
      failCount: 2,
      disallowedEventNames: ['forbidden_event'],
      failedUpdates: { invalidEmails: ['no'] },
    });
  });

  test('fails a whole batch for one value of another type, and keeps none of it', async () => {
    const users = [update, { email: 'b@x.io', dataFields: { plan_type: 7 } }];
    const { status, body } = await call(simulator, 'users/bulkUpdate', { users });
    expect({ status, code: body['code'] }).toEqual({
      status: 400,
      code: 'RequestFieldsTypesMismatched',
    });
    expect(simulator.users.size).toBe(0);
  });

  test('tells when calls for one user overlap, and a track before the end of the update', async () => {
    await simulator.setFaults({ latency: { 'users/update': { ms: 60 } } });
    const first = call(simulator, 'users/update', update);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await call(simulator, 'events/track', event);
    await first;
    await simulator.setFaults({});
    expect(simulator.stats().order).toEqual({ trackDuringUpdate: 1, overlappingSameUser: 1 });
    simulator.reset();
    await call(simulator, 'users/update', update);
    await call(simulator, 'events/track', event);
    expect(simulator.stats().order).toEqual({ trackDuringUpdate: 0, overlappingSameUser: 0 });
  });
});

describe('rate limits', () => {
  test('turn away what is over, and the counts tell all arrivals', async () => {
    let nowMs = 1_768_400_000_000;
    await using simulator = await startSimulator({
      port: 0,
      limits: { 'users/update': 3 },
      retryAfter: true,
      nowMs: () => nowMs,
    });
    const statuses: number[] = [];
    for (const step of [0, 0, 999, 0.5, 0.5, 0]) {
      nowMs += step;
      statuses.push((await call(simulator, 'users/update', update)).status);
    }
    expect(statuses).toEqual([200, 200, 200, 429, 200, 200]);
    nowMs += 1;
    const response = await fetch(`${simulator.url}/api/users/update`, {
      method: 'POST',
      headers: { 'Api-Key': 'any' },
      body: JSON.stringify(update),
    });
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await response.json()).toMatchObject({
      msg: 'Exceeded rate limit.',
      code: 'RateLimitExceeded',
    });
    expect(simulator.stats().endpoints['users/update']).toEqual({
      requests: 7,
      statuses: { 200: 5, 429: 2 },
      peakPerSecond: 5,
    });
  });

  test('are those that Iterable documents, unless said otherwise', async () => {
    await using simulator = await startSimulator({ port: 0, nowMs: () => 1_768_400_000_000 });
    const calls = Array.from({ length: 12 }, () =>
      call(simulator, 'events/trackBulk', { events: [] }),
    );
    const statuses = (await Promise.all(calls)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 429)).toHaveLength(2);
  });
});
