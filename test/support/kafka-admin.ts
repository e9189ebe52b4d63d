import type { Admin, ITopicConfig } from 'kafkajs';
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
