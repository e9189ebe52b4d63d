import { type Admin, type ITopicConfig, Kafka, logLevel } from 'kafkajs';
import type { TopicSettings } from '../../src/settings/types.ts';
import { until } from './program.ts';

/**
 * Makes topics, and returns when the broker that is asked knows a leader of every partition. kafkajs'
 * own wait ends with an error where that broker has not heard of the topic yet.
 */
export async function makeTopics(admin: Admin, topics: ITopicConfig[]): Promise<void> {
  await admin.createTopics({ topics, waitForLeaders: false });
  const names = topics.map(({ topic }) => topic);
  await until(`${names.join(', ')} have leaders`, async () => {
    const known = await admin.fetchTopicMetadata({ topics: names });
    return known.topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0));
  });
}

/** Connected. */
export async function adminOf({ kafka }: TopicSettings): Promise<Admin> {
  const brokers = [...kafka!.brokers];
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  return admin;
}
