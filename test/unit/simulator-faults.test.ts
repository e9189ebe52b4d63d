import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { FaultDice, readFaults, seededRandom } from '../../src/simulator/faults.ts';
import { startSimulator, type Faults, type Simulator } from '../../src/simulator/simulator.ts';

const email = 'a@x.io';

describe('over HTTP', () => {
  let simulator: Simulator;
  beforeAll(async () => {
    simulator = await startSimulator({ port: 0, limits: 'off' });
  });
  afterEach(async () => {
    await simulator.setFaults({});
    simulator.reset();
  });
  afterAll(() => simulator[Symbol.asyncDispose]());

  const update = (timeoutMs = 5000): Promise<Response> =>
    fetch(`${simulator.url}/api/users/update`, {
      method: 'POST',
      headers: { 'Api-Key': 'k' },
      body: JSON.stringify({ email }),
      signal: AbortSignal.timeout(timeoutMs),
    });
  const ask = (faults: Faults): Promise<Response> =>
    fetch(`${simulator.url}/simulator/faults`, { method: 'POST', body: JSON.stringify(faults) });
  const cause = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'answered',
      (error: Error & { cause?: { code?: string } }) => error.cause?.code ?? error.name,
    );

  test('are in force when the call that asks for them is answered, until {} clears them', async () => {
    expect((await ask({ unauthorized: true })).status).toBe(200);
    expect((await update()).status).toBe(401);
    expect(await (await fetch(`${simulator.url}/simulator/faults`)).json()).toEqual({
      unauthorized: true,
    });
    await ask({});
    expect((await update()).status).toBe(200);
  });

  test.each([
    [{ latencies: {} }, 'faults has no "latencies"'],
    [{ latency: { 'users/updat': { ms: 1 } } }, 'latency is by endpoint'],
    [{ latency: { '*': { jitterMs: 1 } } }, 'latency.ms is missing'],
    [{ random: [{ kind: 'explode' }] }, 'random.kind must be'],
    [{ random: [{ kind: 'status' }] }, 'needs a status'],
    [{ random: [{ kind: 'hang', rate: 2 }] }, 'random.rate must be'],
    [{ outage: 'refuse' }, 'needs outageMs'],
    [[], 'must be an object'],
  ])('%j is refused with the reason', async (faults, reason) => {
    const response = await ask(faults as Faults);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { msg: string }).msg).toContain(reason);
  });

  test('an outage answers 503 and keeps nothing; it can end by itself', async () => {
    await simulator.setFaults({ outage: 'unavailable', outageMs: 150, unauthorized: true });
    expect((await update()).status).toBe(503);
    expect(simulator.users.size).toBe(0);
    await expect.poll(async () => (await update()).status).toBe(401);
  });

  test('a reset breaks the connection, with the call carried out or not', async () => {
    await simulator.setFaults({ random: [{ kind: 'reset' }] });
    expect(await cause(update())).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
    expect(simulator.users.size).toBe(0);
    await simulator.setFaults({ random: [{ kind: 'reset', applied: true }] });
    expect(await cause(update())).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
    expect(simulator.users.size).toBe(1);
    expect(simulator.stats().endpoints['users/update'].statuses).toEqual({ none: 2 });
  });

  test('outage reset breaks every connection but leaves the control API alone', async () => {
    await ask({ outage: 'reset' });
    expect(await cause(update())).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
    expect((await ask({})).status).toBe(200);
    expect((await update()).status).toBe(200);
  });

  test('a refused connection is really refused, and comes back on the same port', async () => {
    expect((await ask({ outage: 'refuse', outageMs: 300 })).status).toBe(200);
    await expect.poll(() => cause(update())).toBe('ECONNREFUSED');
    await expect.poll(() => cause(update()), { timeout: 3000 }).toBe('answered');
    await simulator.setFaults({ outage: 'refuse' });
    expect(await cause(update())).toBe('ECONNREFUSED');
    await simulator.setFaults({});
    expect((await update()).status).toBe(200);
  });

  test('a call that hangs is never answered, and has ended when the client gives up', async () => {
    await simulator.setFaults({ random: [{ kind: 'hang', times: 1 }] });
    expect(await cause(update(100))).toBe('TimeoutError');
    await expect.poll(() => simulator.stats().concurrent).toBe(0);
    expect((await update()).status).toBe(200);
    expect(simulator.stats().order.overlappingSameUser).toBe(0);
  });

  test('a call that the client gave up does not count as overlapping the next one', async () => {
    await simulator.setFaults({ latency: { 'users/update': { ms: 1000 } } });
    expect(await cause(update(50))).toBe('TimeoutError');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await cause(update(50))).toBe('TimeoutError');
    expect(simulator.stats()).toMatchObject({ concurrent: 2, order: { overlappingSameUser: 0 } });
  });

  test('errors come with their status, Retry-After on demand, and end after their times', async () => {
    await simulator.setFaults({
      random: [
        { kind: 'status', status: 429, retryAfterSeconds: 7, times: 1 },
        { kind: 'status', status: 502, times: 1, endpoint: 'users/update' },
        { kind: 'status', status: 500, endpoint: 'events/track' },
      ],
    });
    const first = await update();
    expect([first.status, first.headers.get('retry-after')]).toEqual([429, '7']);
    expect((await update()).headers.get('content-type')).toContain('text/html');
    expect((await update()).status).toBe(200);
  });

  test('wrong JSON is an HTML page with status 200', async () => {
    await simulator.setFaults({ random: [{ kind: 'html' }] });
    const response = await update();
    expect(response.status).toBe(200);
    expect(await response.text()).toMatch(/^<html>/);
    expect(simulator.users.size).toBe(0);
  });

  test('a slow body begins at once and takes its time', async () => {
    await simulator.setFaults({ random: [{ kind: 'slowBody', durationMs: 200 }] });
    const begun = performance.now();
    const response = await update();
    const headersMs = performance.now() - begun;
    expect(await response.json()).toMatchObject({ code: 'Success' });
    expect(performance.now() - begun).toBeGreaterThan(150);
    expect(headersMs).toBeLessThan(150);
  });

  test('latency is waited for, by endpoint', async () => {
    await simulator.setFaults({ latency: { 'events/track': { ms: 5000 }, '*': { ms: 80 } } });
    const begun = performance.now();
    await update();
    expect(performance.now() - begun).toBeGreaterThan(75);
    expect(performance.now() - begun).toBeLessThan(4000);
  });

  test('chosen users are refused with what was asked for', async () => {
    await simulator.setFaults({ forgotten: ['A@x.io'] });
    const forgotten = await update();
    expect([forgotten.status, await forgotten.json()]).toMatchObject([
      409,
      { code: 'ForgottenUserError' },
    ]);
    await simulator.setFaults({ refuse: [{ email, status: 409, code: 'ExternalKeyConflict' }] });
    expect(await (await update()).json()).toMatchObject({ code: 'ExternalKeyConflict' });
  });
});

describe('the dice', () => {
  test('fall the same way for the same seed', () => {
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (seed, rate) => {
        const roll = (): boolean[] => {
          const dice = new FaultDice({ seed, random: [{ kind: 'hang', rate }] });
          return Array.from({ length: 50 }, () => dice.roll('users/update') !== null);
        };
        expect(roll()).toEqual(roll());
      }),
    );
  });

  test('hit about as often as asked', () => {
    const dice = new FaultDice({ random: [{ kind: 'hang', rate: 0.2 }] });
    const hits = Array.from({ length: 10_000 }, () => dice.roll('users/update')).filter(Boolean);
    expect(hits.length).toBeGreaterThan(1800);
    expect(hits.length).toBeLessThan(2200);
  });

  test('spread evenly from 0 up to, but never reaching, 1', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = seededRandom(seed);
        const tenths = new Set(Array.from({ length: 500 }, () => Math.floor(random() * 10)));
        expect(tenths).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
      }),
    );
  });
});

test('reading faults never throws, whatever comes', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => void readFaults(value)));
});
