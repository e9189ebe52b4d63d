import type { TopicOffset, TopicPartition } from './port.ts';

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
export const NOTHING_SAVED = -1;
/** What kafkajs commits where it asked for messages that aren't there (ConsumerGroup.setDefaultOffset). */
const RESET = -2;
/** Nobody's fingerprint: beside an offset whose loss has not been made good. */
export const LOST_MARK = 'lost';

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

export const isKnownGroup = (positions: readonly Position[]): boolean =>
  positions.some(({ saved }) => saved >= 0);

/**
 * Whether messages went that a group had not read: retention took them, the log was cut, or the
 * topic was made anew (Kafka forgets a group's offsets with the topic). A group without any offset
 * is a new one. Pure.
 */
export function isLost({ saved, low, high }: Position, isKnown: boolean): boolean {
  if (saved >= 0) return saved < low || saved > high;
  return isKnown || saved === RESET || low > 0;
}

/** Messages after the group's offsets, for each of the topics. */
export function lagOf(
  topics: readonly string[],
  positions: readonly Position[],
): Map<string, number> {
  const lag = new Map<string, number>(topics.map((topic) => [topic, 0]));
  for (const { topic, saved, low, high } of positions) {
    lag.set(topic, (lag.get(topic) ?? 0) + Math.max(0, high - Math.max(saved, low)));
  }
  return lag;
}
