import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { deadLetterOf } from '../../src/deliver/dead-letter.ts';
import { setAside } from '../../src/deliver/delivery.ts';
import type { Delivery, FailedDelivery } from '../../src/deliver/sink.ts';
import { systemClock } from '../../src/model/clock.ts';
import { Outages } from '../../src/observe/outages.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { IterableSink } from '../../src/sinks/iterable/sink.ts';
import { startGateway } from '../support/gateway.ts';
import { user } from '../support/reconciler-world.ts';

const FAILURE = { status: 500, body: '{"code":"GenericError","msg":"no luck"}' };

function sinkTo(baseUrl: string): IterableSink {
  const sink = new IterableSink({
    settings: {
      apiKey: 'key',
      baseUrl,
      timeoutMs: 10_000,
      usersUpdatePerSecond: 500,
      eventsTrackPerSecond: 2_000,
      proxy: null,
    },
    outages: new Outages(pino({ level: 'silent' })),
    connectionsMax: 2,
    clock: systemClock,
  });
  sink.setShare(1, Number.NEGATIVE_INFINITY);
  return sink;
}

/** What comes of a delivery where Iterable fails at this path. */
async function deliveredWhere(
  failsAt: string | null,
  email = 'u7@example.com',
): Promise<{ asked: string[]; came: Delivery | FailedDelivery }> {
  const asked: string[] = [];
  await using simulator = await startSimulator({ port: 0, limits: 'off' });
  await using gateway = await startGateway(simulator.url, (path) => {
    asked.push(path);
    return path === failsAt ? FAILURE : null;
  });
  await using sink = sinkTo(gateway.url);
  const came = await sink.deliver(
    { ...user('7', '70'), email, eventEpochSeconds: 1_767_225_600 },
    () => true,
    false,
  );
  return { asked, came };
}

describe('IterableSink', () => {
  it('tracks the event once the profile is there, and says of each call what came of it', async () => {
    const { asked, came } = await deliveredWhere(null);
    expect(asked).toEqual(['/api/users/update', '/api/events/track']);
    expect(came.calls).toMatchObject([
      { name: 'users/update', outcome: { kind: 'ok', status: 200 } },
      { name: 'events/track', outcome: { kind: 'ok', status: 200 } },
    ]);
  });

  it('ends at a call that fails, and says which ones were not tried', async () => {
    const { asked, came } = await deliveredWhere('/api/users/update');
    expect(asked).toEqual(['/api/users/update']);
    expect(came).toMatchObject({
      calls: [],
      failedCall: 'users/update',
      failure: { status: 500 },
      notTried: ['events/track'],
    });
    if (!('failure' in came)) throw new Error('no call has failed');
    const letter = deadLetterOf(setAside(came, 10, 300_000), 0);
    expect(letter).toMatchObject({ id: 'page-view-70', status: 500, code: 'set-aside' });
    expect(letter?.reason).toMatch(/^set-aside: users\/update failed 10 times in 300 s/);
  });

  it('keeps what has ended before the call that fails', async () => {
    const { asked, came } = await deliveredWhere('/api/events/track');
    expect(asked).toEqual(['/api/users/update', '/api/events/track']);
    expect(came).toMatchObject({
      calls: [{ name: 'users/update', outcome: { kind: 'ok' } }],
      failedCall: 'events/track',
      notTried: [],
    });
  });

  it('refuses who has no usable address for all calls, and makes none', async () => {
    const { asked, came } = await deliveredWhere(null, 'no address');
    expect(asked).toEqual([]);
    expect(deadLetterOf(came, 0)).toMatchObject({
      status: null,
      code: 'NoUsableEmail',
      reason: 'users/update and events/track refused: the customer has no usable e-mail address',
    });
  });
});
