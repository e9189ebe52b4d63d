import type { Cluster } from 'kafkajs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { followCoordinator } from '../../src/topics/kafka/wire/group-coordinator.ts';
import { kafkajsInside } from '../../src/topics/kafka/wire/inside.ts';

type Coordinator = { nodeId: number; heartbeat: (payload: unknown) => Promise<unknown> };

const refused = Object.assign(new Error('connect ECONNREFUSED'), {
  name: 'KafkaJSConnectionError',
});

/** A cluster where node 1 is the coordinator of the beginning; `now` says who is by now. */
async function joined(beat: () => Promise<unknown>, now: () => Promise<number>) {
  const broker = { nodeId: 1, heartbeat: beat };
  const cluster = {
    findGroupCoordinator: () => Promise.resolve(broker),
    findGroupCoordinatorMetadata: async () => ({ coordinator: { nodeId: await now() } }),
  } as unknown as Cluster;
  followCoordinator(cluster, kafkajsInside());
  return (await cluster.findGroupCoordinator({ groupId: 'g' })) as unknown as Coordinator;
}

describe("a group's coordinator that does not answer", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is left where the other brokers name another', async () => {
    const coordinator = await joined(
      () => Promise.reject(refused),
      () => Promise.resolve(2),
    );
    expect(coordinator.nodeId).toBe(1);
    await expect(coordinator.heartbeat({})).rejects.toMatchObject({
      type: 'NOT_COORDINATOR_FOR_GROUP',
    });
  });

  it('is asked again where they name the same one, or nobody tells', async () => {
    const same = await joined(
      () => Promise.reject(refused),
      () => Promise.resolve(1),
    );
    await expect(same.heartbeat({})).rejects.toBe(refused);
    const unknown = await joined(
      () => Promise.reject(refused),
      () => Promise.reject(new Error('nobody is there')),
    );
    await expect(unknown.heartbeat({})).rejects.toBe(refused);
  });

  it('is left where one of the first brokers that are asked is down', async () => {
    let asked = 0;
    const coordinator = await joined(
      () => Promise.reject(refused),
      () => (++asked < 3 ? Promise.reject(refused) : Promise.resolve(2)),
    );
    await expect(coordinator.heartbeat({})).rejects.toMatchObject({
      type: 'NOT_COORDINATOR_FOR_GROUP',
    });
  });

  it('is left when it takes the heartbeat and says nothing for 3 s', async () => {
    vi.useFakeTimers();
    const coordinator = await joined(
      () => new Promise(() => undefined),
      () => Promise.resolve(2),
    );
    const beat = Promise.allSettled([coordinator.heartbeat({})]);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(await beat).toMatchObject([{ reason: { type: 'NOT_COORDINATOR_FOR_GROUP' } }]);
  });

  it('is given the time it takes where it is still the coordinator', async () => {
    vi.useFakeTimers();
    const coordinator = await joined(
      () => new Promise((resolve) => setTimeout(resolve, 8_000, 'alive')),
      () => Promise.resolve(1),
    );
    const beat = coordinator.heartbeat({});
    await vi.advanceTimersByTimeAsync(8_000);
    expect(await beat).toBe('alive');
  });

  it('says itself what else is wrong', async () => {
    const wrong = Object.assign(new Error('illegal'), { type: 'ILLEGAL_GENERATION' });
    const coordinator = await joined(
      () => Promise.reject(wrong),
      () => Promise.resolve(2),
    );
    await expect(coordinator.heartbeat({})).rejects.toBe(wrong);
  });
});
