import kafkajs from 'kafkajs';
import type { Logger } from '../../observe/logger.ts';
import type { KafkaSettings } from '../../settings/types.ts';
import { createClient, explainKafkaError } from './client.ts';

export interface TopicDescription {
  partitions: number;
  /** -1: for ever. */
  retentionMs: number;
  cleanupPolicy: string;
}

export interface KafkaDescription {
  brokers: number;
  /** Those of the topics asked for that exist. */
  topics: Map<string, TopicDescription>;
}

const RETRIES = 2;

/** What is there. Changes nothing. Rejects with UnavailableError, in one sentence. */
export async function describeKafka(
  settings: KafkaSettings,
  topics: readonly string[],
  logger: Logger,
): Promise<KafkaDescription> {
  const admin = createClient(settings, logger, RETRIES).admin();
  try {
    await admin.connect();
    const cluster = await admin.describeCluster();
    const there = new Set(await admin.listTopics());
    const known = topics.filter((topic) => there.has(topic));
    const described = new Map<string, TopicDescription>();
    if (known.length > 0) {
      const { topics: metadata } = await admin.fetchTopicMetadata({ topics: known });
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: known.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
      });
      for (const { name, partitions } of metadata) {
        const entries = resources.find((one) => one.resourceName === name)?.configEntries ?? [];
        const valueOf = (key: string): string | undefined =>
          entries.find(({ configName }) => configName === key)?.configValue;
        described.set(name, {
          partitions: partitions.length,
          retentionMs: Number(valueOf('retention.ms') ?? -1),
          cleanupPolicy: valueOf('cleanup.policy') ?? 'delete',
        });
      }
    }
    return { brokers: cluster.brokers.length, topics: described };
  } catch (error) {
    throw explainKafkaError(error, settings);
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}
