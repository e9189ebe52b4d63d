import kafkajs, { type Admin } from 'kafkajs';
import type { Logger } from '../../observe/logger.ts';
import type { KafkaSettings } from '../../settings/types.ts';
import { createClient, explainKafkaError } from './client.ts';
import { isRefused } from './grants.ts';

export interface TopicDescription {
  partitions: number;
  /** null where this user may not see them. */
  config: TopicConfig | null;
}

interface TopicConfig {
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
      for (const { name, partitions } of metadata) {
        described.set(name, {
          partitions: partitions.length,
          config: await configOf(admin, name),
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

/** Of one topic alone: where one of several may not be seen, kafkajs shows none. */
async function configOf(admin: Admin, topic: string): Promise<TopicConfig | null> {
  try {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
    });
    const entries = resources[0]?.configEntries ?? [];
    const valueOf = (key: string): string | undefined =>
      entries.find(({ configName }) => configName === key)?.configValue;
    return {
      retentionMs: Number(valueOf('retention.ms') ?? -1),
      cleanupPolicy: valueOf('cleanup.policy') ?? 'delete',
    };
  } catch (error) {
    if (isRefused(error)) return null;
    throw error;
  }
}
