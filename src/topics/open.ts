import type { Logger } from '../observe/logger.ts';
import { Outages } from '../observe/outages.ts';
import type { TopicSettings } from '../settings/types.ts';
import type { Topics } from './port.ts';

/**
 * The topics that the settings ask for: Kafka's when brokers are named, else the embedded file.
 * @throws UnavailableError when the embedded file cannot be used. Kafka is reached by the first
 * call that needs it.
 */
export async function openTopics(
  settings: TopicSettings,
  logger: Logger,
  outages = new Outages(logger),
): Promise<Topics> {
  const { kafka } = settings;
  if (kafka === null) {
    const { EmbeddedTopics } = await import('./embedded/topics.ts');
    return EmbeddedTopics.open(settings, logger, outages);
  }
  const { KafkaTopics } = await import('./kafka/topics.ts');
  return new KafkaTopics({ ...settings, kafka }, logger, outages);
}
