import type { Admin } from 'kafkajs';
import type { TopicOffset, TopicPartition } from '../port.ts';

interface PositionDeps {
  admin: () => Promise<Admin>;
  groupId: string;
  topics: readonly string[];
}

/** How far a group and the log are in a partition. */
export interface Position extends TopicPartition {
  /** Negative where nothing is committed. */
  saved: number;
  low: number;
  high: number;
}

export const beginOf = ({ topic, partition, low }: Position): TopicOffset => ({
  topic,
  partition,
  offset: low,
});

export async function readPositions({ admin, groupId, topics }: PositionDeps): Promise<Position[]> {
  const asked = await admin();
  const committed = await asked.fetchOffsets({ groupId, topics: [...topics] });
  const all = await Promise.all(
    topics.map(async (topic) => {
      const saved = new Map(
        committed
          .find((one) => one.topic === topic)
          ?.partitions.map(({ partition, offset }) => [partition, Number(offset)]),
      );
      const bounds = await asked.fetchTopicOffsets(topic);
      return bounds.map(({ partition, low, high }) => ({
        topic,
        partition,
        saved: saved.get(partition) ?? -1,
        low: Number(low),
        high: Number(high),
      }));
    }),
  );
  return all.flat();
}
