import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/model/clock.ts';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import type { Sink } from '../../src/deliver/sink.ts';
import { DeliveryStream } from '../../src/deliver/stream.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import type {
  MemberHandlers,
  ReceivedMessage,
  TopicOffset,
  Topics,
} from '../../src/topics/port.ts';

const MESSAGE: ReceivedMessage = {
  topic: 'views',
  partition: 0,
  offset: 0,
  key: '7',
  value: '{"id":1,"user_id":7,"page":"pricing"}',
  timestampMs: 0,
  headers: {},
};

const BLOG =
  '{"id":1,"user_id":7,"page":"blog","device":null,"browser":null,"location":null,"event_time":"2026-01-13T14:30:45Z"}';

/** A stream whose member and sink do nothing but what a test says. */
class World {
  told: MemberHandlers | null = null;
  readonly drained = Promise.withResolvers<void>();
  readonly settled = Promise.withResolvers<void>();
  readonly looked = Promise.withResolvers<void>();
  readonly committed: number[] = [];
  readonly stream: DeliveryStream;

  constructor() {
    const topics = {
      names: { pageViews: 'views', userChanges: 'changes', deadLetters: 'd', checkpoints: 'c' },
      deadLetters: {},
      join: (_group: string, _topics: readonly string[], handlers: MemberHandlers) => {
        this.told = handlers;
        return Promise.resolve({
          settled: this.settled.promise,
          commit: (offsets: readonly TopicOffset[]) => {
            this.committed.push(...offsets.map(({ offset }) => offset));
            return Promise.resolve();
          },
          [Symbol.asyncDispose]: () => Promise.resolve(),
        });
      },
    } as unknown as Topics;
    const pace = { waiting: 0, perSecond: 500, holdUps: 0 };
    this.stream = new DeliveryStream({
      topics,
      groupId: 'group',
      format: 'page_view',
      query: () => Promise.resolve([]),
      session: () => Promise.reject(new Error('no look is meant')),
      rule: { planType: 'pro', pages: ['pricing'], lookbackDays: 7 },
      db: { name: 'shop', user: 'me', model: DEFAULT_MODEL },
      fingerprint: 'mark',
      sink: {
        pace,
        setShare: () => undefined,
        stop: () => this.drained.promise,
      } as unknown as Sink,
      metrics: createMetrics(),
      logger: pino({ level: 'silent' }),
      clock: systemClock,
      onTrouble: () => undefined,
      lookAtEveryone: () => this.looked.promise,
    });
  }
}

describe('DeliveryStream', () => {
  // Guards memory.clear in onAssigned: another member may have sent something else meanwhile.
  it('trusts nothing that it remembers of the time before an assignment', async () => {
    const world = new World();
    const { stream } = world;
    world.settled.resolve();
    await stream.start();
    stream.memory.remember({ userId: '7' } as never);
    expect(stream.memory.size).toBe(1);
    world.told?.onAssigned({ partitions: [{ topic: 'views', partition: 0 }], share: 1 });
    expect(stream.memory.size).toBe(0);
    world.drained.resolve();
    await stream.stop();
  });

  // Guards `settled` in #commitMoved: a commit that came first would hide the loss at the next start.
  it('saves nothing before it is known what was lost, nor before that was made good', async () => {
    const world = new World();
    await world.stream.start();
    const blog = { ...MESSAGE, offset: 41, value: BLOG };
    await world.told?.onMessages([blog]);
    await sleep(300);
    expect(world.committed).toEqual([]);
    world.told?.onLost([{ topic: 'views', partition: 0, offset: 40 }]);
    world.settled.resolve();
    await sleep(300);
    expect(world.committed).toEqual([]);
    world.looked.resolve();
    while (world.committed.length === 0) await sleep(5);
    expect(world.committed).toEqual([40]);
    await world.told?.onMessages([{ ...blog, offset: 42 }]);
    while (world.committed.length === 1) await sleep(5);
    expect(world.committed).toEqual([40, 43]);
    world.drained.resolve();
    await world.stream.stop();
  });

  // Guards #isStopping: the backlog would be read at full speed while the last calls end.
  it('takes nothing more in while it stops, and lets the member go at the end', async () => {
    const world = new World();
    world.settled.resolve();
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
