import type { Admin } from 'kafkajs';
import { NOTHING_SAVED, type Position } from '../group-position.ts';

interface PositionDeps {
  admin: () => Promise<Admin>;
  groupId: string;
  topics: readonly string[];
}

export async function readPositions({ admin, groupId, topics }: PositionDeps): Promise<Position[]> {
  const asked = await admin();
  const committed = await asked.fetchOffsets({ groupId, topics: [...topics] });
  const all = await Promise.all(
    topics.map(async (topic) => {
      const saved = new Map(
        committed
          .find((one) => one.topic === topic)
          ?.partitions.map((at) => [
            at.partition,
            { saved: Number(at.offset), mark: at.metadata ?? '' },
          ]),
      );
      const bounds = await asked.fetchTopicOffsets(topic);
      return bounds.map(({ partition, low, high }) => ({
        topic,
        partition,
        ...(saved.get(partition) ?? { saved: NOTHING_SAVED, mark: '' }),
        low: Number(low),
        high: Number(high),
      }));
    }),
  );
  return all.flat();
}
