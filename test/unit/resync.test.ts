import { pino } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import { Resync } from '../../src/deliver/resync.ts';
import { systemClock } from '../../src/model/clock.ts';
import type { TopicOffset } from '../../src/topics/port.ts';

const place = (partition: number, offset = 5): TopicOffset => ({
  topic: 'views',
  partition,
  offset,
});

/** Looks at everyone end when a test says so. */
class World {
  readonly looks: PromiseWithResolvers<void>[] = [];
  readonly committed: TopicOffset[] = [];
  readonly troubles: unknown[] = [];
  readonly resync = new Resync({
    lookAtEveryone: () => {
      const look = Promise.withResolvers<void>();
      this.looks.push(look);
      return look.promise;
    },
    commit: (places) => {
      this.committed.push(...places);
      return Promise.resolve();
    },
    onTrouble: (error) => this.troubles.push(error),
    logger: pino({ level: 'silent' }),
    clock: systemClock,
  });

  async looksAre(count: number): Promise<void> {
    await vi.waitUntil(() => this.looks.length === count, 5_000);
  }
}

describe('a look at everyone that is owed', () => {
  it('lets nothing be committed until it is asked for, and one is for all that is owed', async () => {
    const world = new World();
    world.resync.ask([place(0)], 'rule');
    world.resync.ask([place(1)], 'retention');
    expect(world.resync.isOwed).toBe(true);
    world.looks[0]?.resolve();
    await world.looksAre(2);
    // The second was asked for when the first look had begun.
    expect(world.committed).toEqual([]);
    expect(world.resync.isOwed).toBe(true);
    world.looks[1]?.resolve();
    await vi.waitFor(() => expect(world.resync.isOwed).toBe(false));
    expect(world.committed).toEqual([place(0), place(1)]);
  });

  // What is committed beside the offset tells whoever comes next of the second loss.
  it('commits no place over that of a later loss in the same partition', async () => {
    const world = new World();
    world.resync.ask([place(0, 9)], 'rule');
    world.resync.ask([place(0, 2)], 'retention');
    world.looks[0]?.resolve();
    await world.looksAre(2);
    expect(world.committed).toEqual([]);
    world.looks[1]?.resolve();
    await vi.waitFor(() => expect(world.resync.isOwed).toBe(false));
    expect(world.committed).toEqual([place(0, 2)]);
  });

  it('is tried again after a failure, which is over once it has worked', async () => {
    const world = new World();
    world.resync.ask([place(0)], 'rule');
    world.looks[0]?.reject(new Error('the database is away'));
    await world.looksAre(2);
    expect(world.resync.isOwed).toBe(true);
    expect(world.troubles).toEqual([new Error('the database is away')]);
    world.looks[1]?.resolve();
    await vi.waitFor(() => expect(world.troubles.at(-1)).toBeNull());
    expect(world.resync.isOwed).toBe(false);
  });

  it('is not committed once the partitions have another owner, who finds it again', async () => {
    const world = new World();
    world.resync.ask([place(0)], 'rule');
    world.resync.forget();
    expect(world.resync.isOwed).toBe(false);
    world.resync.ask([place(1)], 'rule');
    world.looks[0]?.resolve();
    await world.looksAre(2);
    world.looks[1]?.resolve();
    await vi.waitFor(() => expect(world.resync.isOwed).toBe(false));
    expect(world.committed).toEqual([place(1)]);
  });
});
