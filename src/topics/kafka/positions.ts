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
  /** What was committed beside it; empty where nothing was. */
  mark: string;
  low: number;
  high: number;
}

/** What a broker answers for a partition that the group has committed nothing of. */
const NOTHING_SAVED = -1;

export const savedOf = ({ topic, partition, saved }: Position): TopicOffset => ({
  topic,
  partition,
  offset: saved,
});

export const isFresh = ({ saved, low }: Position): boolean => saved === NOTHING_SAVED && low === 0;

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
