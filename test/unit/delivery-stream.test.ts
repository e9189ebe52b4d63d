import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Sender } from '../../src/delivery/sender.ts';
import { DeliveryStream } from '../../src/delivery/stream.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import type { MemberHandlers, ReceivedMessage, Topics } from '../../src/topics/port.ts';

const MESSAGE: ReceivedMessage = {
  topic: 'views',
  partition: 0,
  offset: 0,
  key: '7',
  value: '{"id":1,"user_id":7,"page":"pricing"}',
  timestampMs: 0,
  headers: {},
};

/** A stream whose member and sender do nothing but what a test says. */
class World {
  told: MemberHandlers | null = null;
  readonly drained = Promise.withResolvers<void>();
  readonly stream: DeliveryStream;

  constructor() {
    const topics = {
      names: { pageViews: 'views', userChanges: 'changes', deadLetters: 'd', checkpoints: 'c' },
      deadLetters: {},
      join: (_group: string, _topics: readonly string[], handlers: MemberHandlers) => {
        this.told = handlers;
        return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
      },
    } as unknown as Topics;
    const pace = { waitingForBudget: () => 0, budgetPerSecond: () => 500, holdUps: () => 0 };
    this.stream = new DeliveryStream({
      topics,
      groupId: 'group',
      format: 'page_view',
      query: () => Promise.resolve([]),
      session: () => Promise.reject(new Error('no look is meant')),
      rule: { planType: 'pro', pages: ['pricing'], lookbackDays: 7 },
      fingerprint: 'mark',
      sender: {
        pace,
        setShare: () => undefined,
        stop: () => this.drained.promise,
      } as unknown as Sender,
      metrics: createMetrics(),
      logger: pino({ level: 'silent' }),
      onTrouble: () => undefined,
      lookAtEveryone: () => Promise.resolve(),
    });
  }
}

describe('DeliveryStream', () => {
  // Guards memory.clear in onAssigned: another member may have sent something else meanwhile.
  it('trusts nothing that it remembers of the time before an assignment', async () => {
    const world = new World();
    const { stream } = world;
    await stream.start();
    stream.memory.remember({ userId: '7' } as never);
    expect(stream.memory.size).toBe(1);
    world.told?.onAssigned({ partitions: [{ topic: 'views', partition: 0 }], share: 1 });
    expect(stream.memory.size).toBe(0);
    world.drained.resolve();
    await stream.stop();
  });

  // Guards #isStopping: the backlog would be read at full speed while the last calls end.
  it('takes nothing more in while it stops, and lets the member go at the end', async () => {
    const world = new World();
    await world.stream.start();
    const stopped = world.stream.stop();
    let answered = false;
    const taken = world.told?.onMessages([MESSAGE]).then(() => (answered = true));
    await sleep(20);
    expect(answered).toBe(false);
    world.drained.resolve();
    await stopped;
    await taken;
    expect(answered).toBe(true);
  });
});
