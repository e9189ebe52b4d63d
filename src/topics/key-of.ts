import type { TopicPartition } from './port.ts';

/** `topic/partition`: a partition as the key of a map. */
export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;
