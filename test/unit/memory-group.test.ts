import { describe, expect, it } from 'vitest';
import { type LogOffset, SESSION_MS } from '../../src/topics/memory/group.ts';
import { SEED } from '../support/extent.ts';
import { MemoryWorld } from '../support/memory-world.ts';

const TOPICS = ['views'];
const REBALANCE_MS = 15_000;

function world() {
  const { broker, clock } = new MemoryWorld(SEED);
  broker.ensureTopic('views', 6);
  const group = broker.group('g');
  const offsets = (offset: number): LogOffset[] =>
    broker
      .logsOf('views')
      .map((log) => ({ topic: 'views', partition: log.partition, offset, log }));
  const saved = (): Set<number> => new Set(group.positions(TOPICS).map((at) => at.saved));
  /** A member that is heard of until then. */
  const beat = async (memberId: string, generation: number, untilMs: number): Promise<void> => {
    while (clock.now() < untilMs) {
      group.heartbeat(memberId, generation);
      await clock.run(clock.now() + 1_000);
    }
  };
  return { broker, clock, group, offsets, saved, beat };
}

describe('a group in memory', () => {
  it('saves what a member of this generation commits, and of no other', async () => {
    const { clock, group, offsets, saved } = world();
    const first = await clock.settled(group.join('a', 'a', TOPICS));
    expect(group.commit('a', first.generation, offsets(1), '')).toBe(true);
    const joining = group.join('b', 'b', TOPICS);
    // The members are joining again: what they have finished still counts.
    expect(group.commit('a', first.generation, offsets(2), '')).toBe(true);
    await clock.settled(Promise.all([group.join('a', 'a', TOPICS), joining]));
    expect(group.commit('a', first.generation, offsets(3), '')).toBe(false);
    expect(group.commit('c', first.generation + 1, offsets(3), '')).toBe(false);
    expect(saved()).toEqual(new Set([2]));
  });

  it('saves nothing that was read of a topic before it was made anew', async () => {
    const { broker, clock, group, offsets, saved } = world();
    const { generation } = await clock.settled(group.join('a', 'a', TOPICS));
    const before = offsets(5);
    group.commit('a', generation, before, '');
    broker.makeAnew('views');
    expect(saved()).toEqual(new Set([-1]));
    expect(group.commit('a', generation, before, '')).toBe(true);
    expect(saved()).toEqual(new Set([-1]));
    group.commit('a', generation, offsets(0), '');
    group.commit('a', generation, before, '');
    expect(saved()).toEqual(new Set([0]));
  });

  it('waits for who is heard of to join again, and then goes on without him', async () => {
    const { clock, group, beat } = world();
    const { generation } = await clock.settled(group.join('a', 'a', TOPICS));
    const beganMs = clock.now();
    const joining = Promise.all([group.join('b', 'b', TOPICS), group.join('c', 'c', TOPICS)]);
    await beat('a', generation, beganMs + REBALANCE_MS - 1_000);
    const [second, third] = await clock.settled(joining);
    expect(clock.now() - beganMs).toBe(REBALANCE_MS);
    expect([second.partitions.length, third.partitions.length]).toEqual([3, 3]);
    expect(group.heartbeat('b', second.generation)).toBe('stable');
    expect(group.heartbeat('a', generation)).toBe('unknown');
  });

  it('takes who is not heard of for gone', async () => {
    const { clock, group } = world();
    const { generation } = await clock.settled(group.join('a', 'a', TOPICS));
    await clock.run(clock.now() + SESSION_MS - 1);
    expect(group.heartbeat('a', generation)).toBe('stable');
    await clock.run(clock.now() + SESSION_MS);
    expect(group.heartbeat('a', generation)).toBe('unknown');
  });
});
