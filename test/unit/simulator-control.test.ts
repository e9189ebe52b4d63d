import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { UnavailableError } from '../../src/errors.ts';
import { startSimulator, type Simulator } from '../../src/simulator/simulator.ts';

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({
    port: 0,
    limits: 'off',
    allowedHosts: ['simulator'],
    deliveriesMax: 3,
  });
});
beforeEach(() => simulator.reset());
afterAll(() => simulator[Symbol.asyncDispose]());

const post = (path: string, body: unknown): Promise<Response> =>
  fetch(simulator.url + path, {
    method: 'POST',
    headers: { 'Api-Key': 'k' },
    body: JSON.stringify(body),
  });
const get = async (path: string): Promise<unknown> => (await fetch(simulator.url + path)).json();

function statusFor(
  path: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(simulator.url + path, { headers, method }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('the state', () => {
  test('lists users with profile and events, whole or in pages', async () => {
    for (const n of [1, 2, 3]) {
      await post('/api/users/update', { email: `u${n}@x.io`, dataFields: { n } });
      await post('/api/events/track', { email: `u${n}@x.io`, eventName: 'e', id: `id-${n}` });
    }
    expect(await get('/simulator/state')).toMatchObject({
      counts: { users: 3, events: 3 },
      users: [1, 2, 3].map((n) => ({
        email: `u${n}@x.io`,
        dataFields: { n },
        events: { [`id-${n}`]: { eventName: 'e' } },
      })),
    });
    expect(await get('/simulator/state?offset=1&limit=1')).toMatchObject({
      users: [{ email: 'u2@x.io' }],
    });
    const none = (await get('/simulator/state?offset=9')) as { users: unknown[] };
    expect(none.users).toEqual([]);
  });

  test('is whole JSON also when it is longer than one piece', async () => {
    const users = Array.from({ length: 2000 }, (_, n) => ({
      email: `u${n}@x.io`,
      dataFields: { text: 'é'.repeat(50) },
    }));
    await post('/api/users/bulkUpdate', { users });
    const state = (await get('/simulator/state')) as { users: { email: string }[] };
    expect(state.users.map(({ email }) => email)).toEqual(users.map(({ email }) => email));
  });

  test.each([
    ['POST', '/simulator/reset'],
    ['DELETE', '/simulator/state'],
  ])('%s %s empties it, with the counts', async (method, path) => {
    await post('/api/users/update', { email: 'a@x.io', dataFields: { n: 1 } });
    expect((await fetch(simulator.url + path, { method })).status).toBe(200);
    expect(simulator.users.size).toBe(0);
    expect(simulator.stats().endpoints['users/update']).toMatchObject({
      requests: 0,
      peakPerSecond: 0,
    });
    expect(await get('/simulator/deliveries')).toEqual({ lastSeq: 0, deliveries: [] });
    const other = await post('/api/users/update', { email: 'a@x.io', dataFields: { n: 'x' } });
    expect(other.status).toBe(200);
  });
});

test('deliveries tell what was accepted when, after a given one, and keep the latest', async () => {
  const before = performance.timeOrigin + performance.now();
  await post('/api/users/update', { email: 'A@x.io' });
  await post('/api/users/update', { email: 'refused' });
  await post('/api/events/track', { email: 'a@x.io', eventName: 'e', id: 'id-1' });
  const all = simulator.deliveries();
  expect(all).toMatchObject([
    { seq: 1, endpoint: 'users/update', email: 'a@x.io', id: null },
    { seq: 2, endpoint: 'events/track', email: 'a@x.io', id: 'id-1' },
  ]);
  for (const { at } of all) expect(Math.abs(at - before)).toBeLessThan(5000);
  expect(await get('/simulator/deliveries?since=1')).toEqual({
    lastSeq: 2,
    deliveries: all.slice(1),
  });
  for (let n = 3; n <= 6; n += 1) await post('/api/users/update', { email: 'a@x.io' });
  expect(simulator.deliveries().map(({ seq }) => seq)).toEqual([4, 5, 6]);
  expect(simulator.deliveries(5).map(({ seq }) => seq)).toEqual([6]);
  expect((await fetch(`${simulator.url}/simulator/deliveries?since=-1`)).status).toBe(400);
});

describe('the page', () => {
  test('shows users and events, and escapes what clients sent', async () => {
    const evil = '<script>alert("x")</script>';
    await post('/api/users/update', { email: 'a@x.io', dataFields: { name: evil } });
    await post('/api/events/track', { email: 'a@x.io', eventName: evil, id: 'page-view-1' });
    const response = await fetch(simulator.url);
    const text = await response.text();
    expect(response.headers.get('content-type')).toContain('text/html');
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(text).toContain('page-view-1');
    expect(text).toContain('&#60;script&#62;');
    expect(text).not.toContain('<script');
  });
});

describe('pages of other sites', () => {
  const port = (): number => simulator.port;

  test.each(['127.0.0.1', 'localhost', '[::1]', 'simulator', 'SIMULATOR'])(
    'are told from visitors of %s',
    async (name) => {
      expect(await statusFor('/', { Host: `${name}:${port()}` })).toBe(200);
    },
  );

  test.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'a@localhost',
    'localhost:1',
  ])('cannot reach the control API under the name %j', async (name) => {
    for (const path of ['/', '/simulator/state', '/simulator/stats']) {
      expect(await statusFor(path, { Host: `${name}:${port()}` })).toBe(403);
    }
    const Host = `${name}:${port()}`;
    expect(await statusFor('/simulator/reset', { Host }, 'POST')).toBe(403);
  });

  test('cannot send forms to it', async () => {
    const Host = `127.0.0.1:${port()}`;
    for (const Origin of ['https://evil.example', 'null']) {
      expect(await statusFor('/simulator/reset', { Host, Origin }, 'POST')).toBe(403);
    }
    expect(await statusFor('/simulator/reset', { Host, Origin: `http://${Host}` }, 'POST')).toBe(
      200,
    );
  });

  test('do not matter to the API, which asks for a key', async () => {
    expect(await statusFor('/api/channels', { Host: 'any.name', 'Api-Key': 'k' })).toBe(200);
  });
});

test('an address that is taken is said in one sentence', async () => {
  await expect(startSimulator({ port: simulator.port })).rejects.toThrow(UnavailableError);
  await expect(startSimulator({ port: simulator.port })).rejects.toThrow(/choose another/);
});

test('closing ends open calls and frees the port', async () => {
  const other = await startSimulator({ port: 0 });
  await other.setFaults({ latency: { '*': { ms: 60_000 } } });
  const waiting = fetch(`${other.url}/api/channels`, { headers: { 'Api-Key': 'k' } }).then(
    () => 'answered',
    () => 'broken',
  );
  await expect.poll(() => other.stats().concurrent).toBe(1);
  await other[Symbol.asyncDispose]();
  expect(await waiting).toBe('broken');
  await using again = await startSimulator({ port: other.port });
  expect(again.port).toBe(other.port);
});
