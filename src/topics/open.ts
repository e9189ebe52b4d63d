import type { Logger } from '../observe/logger.ts';
import { Outages } from '../observe/outages.ts';
import type { TopicSettings } from '../settings/types.ts';
import { EmbeddedTopics } from './embedded/topics.ts';
import { KafkaTopics } from './kafka/topics.ts';
import type { Topics } from './port.ts';

/**
 * The topics that the settings ask for: Kafka's when brokers are named, else the embedded file.
 * @throws UnavailableError when the embedded file can not be used. Kafka is reached by the first
 * call that needs it.
 */
export async function openTopics(
  settings: TopicSettings,
  logger: Logger,
  outages = new Outages(logger),
): Promise<Topics> {
  const { kafka } = settings;
  return kafka === null
    ? EmbeddedTopics.open(settings, logger, outages)
    : new KafkaTopics({ ...settings, kafka }, logger, outages);
}
