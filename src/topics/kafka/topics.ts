import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin, Kafka } from 'kafkajs';
import { UnavailableError } from '../../errors.ts';
import type { Logger } from '../../observe/logger.ts';
import type { KafkaSettings, TopicSettings } from '../../settings/types.ts';
import { topicNames } from '../names.ts';
import type {
  DeadLetterStore,
  GroupMember,
  MemberHandlers,
  PartitionBounds,
  Publisher,
  ReceivedMessage,
  TopicNames,
  TopicOffset,
  Topics,
} from '../port.ts';
import { createClient, explainKafkaError } from './client.ts';
import { KafkaDeadLetters } from './dead-letters.ts';
import { whenLed } from './leaders.ts';
import { KafkaMember } from './member.ts';
import { KafkaPublisher } from './publisher.ts';
import { readRanges } from './read-ranges.ts';

/** About ten seconds until "can not be reached". */
const QUESTION_RETRIES = 4;
const CONNECT_MS_MAX = 15_000;
const LASTING_RETRIES = 20;
const BROKER_DEFAULT = -1;

export type KafkaTopicSettings = TopicSettings & { kafka: KafkaSettings };

/** The topics in Kafka. */
export class KafkaTopics implements Topics {
  readonly names: TopicNames;
  readonly description: string;
  readonly deadLetters: DeadLetterStore;
  readonly #settings: KafkaTopicSettings;
  readonly #logger: Logger;
  readonly #asking: Kafka;
  readonly #lasting: Kafka;
  readonly #letters: KafkaDeadLetters;
  #admin: Promise<Admin> | null = null;

  constructor(settings: KafkaTopicSettings, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
    this.names = topicNames(settings.topic);
    this.description = `Kafka at ${settings.kafka.brokers.join(',')}`;
    this.#asking = createClient(settings.kafka, logger, QUESTION_RETRIES);
    this.#lasting = createClient(settings.kafka, logger, LASTING_RETRIES);
    const { deadLetters } = this.names;
    this.#letters = new KafkaDeadLetters(this.#lasting, deadLetters, () =>
      this.#readWhole(deadLetters),
    );
    this.deadLetters = this.#letters;
  }

  async ensureTopics(): Promise<void> {
    await this.#ask(async (admin) => {
      const { pageViews, userChanges, deadLetters, checkpoints } = this.names;
      const there = new Set(await admin.listTopics());
      // Both topics about users need as many partitions, or a user is with two members.
      const partitions = there.has(pageViews)
        ? (await admin.fetchTopicOffsets(pageViews)).length
        : this.#settings.partitions;
      const compacted = [{ name: 'cleanup.policy', value: 'compact' }];
      const wanted = [
        { topic: pageViews, numPartitions: partitions },
        { topic: userChanges, numPartitions: partitions },
        { topic: deadLetters, numPartitions: 1, configEntries: compacted },
        { topic: checkpoints, numPartitions: 1, configEntries: compacted },
      ];
      const missing = wanted.filter(({ topic }) => !there.has(topic));
      if (missing.length === 0) return;
      const topics = missing.map((topic) => ({ ...topic, replicationFactor: BROKER_DEFAULT }));
      await admin.createTopics({ topics, waitForLeaders: true });
      this.#logger.info(`created the topics ${missing.map(({ topic }) => topic).join(', ')}`);
    });
  }

  publisher(): Promise<Publisher> {
    const { checkpoints } = this.names;
    return Promise.resolve(
      new KafkaPublisher({
        kafka: this.#lasting,
        checkpointsTopic: checkpoints,
        logger: this.#logger,
        loadCheckpoint: async (source) => {
          let found: string | null = null;
          for await (const messages of this.#readWhole(checkpoints)) {
            for (const { key, value } of messages) if (key === source) found = value;
          }
          return found;
        },
      }),
    );
  }

  async join(
    groupId: string,
    topics: readonly string[],
    handlers: MemberHandlers,
    mark = '',
  ): Promise<GroupMember> {
    const member = new KafkaMember({
      kafka: this.#lasting,
      asking: this.#asking,
      groupId,
      topics,
      handlers,
      mark,
      logger: this.#logger,
    });
    try {
      await member.start();
    } catch (error) {
      throw explainKafkaError(error, this.#settings.kafka);
    }
    return member;
  }

  async bounds(topics: readonly string[]): Promise<PartitionBounds[]> {
    return await this.#ask(async (admin) => {
      const there = new Set(await admin.listTopics());
      const known = topics.filter((topic) => there.has(topic));
      const all = await Promise.all(
        known.map(async (topic) =>
          (await admin.fetchTopicOffsets(topic)).map(({ partition, low, high }) => ({
            topic,
            partition,
            begin: Number(low),
            end: Number(high),
          })),
        ),
      );
      return all.flat();
    });
  }

  async offsetsAtTime(topic: string, timeMs: number): Promise<TopicOffset[]> {
    return await this.#ask(async (admin) => {
      const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, timeMs);
      return offsets.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) }));
    });
  }

  async *read(
    ranges: readonly PartitionBounds[],
    signal: AbortSignal,
  ): AsyncIterable<ReceivedMessage[]> {
    yield* readRanges(this.#lasting, await this.#connected(), ranges, signal, this.description);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#letters[Symbol.asyncDispose]();
    const admin = await this.#admin?.catch(() => null);
    await admin?.disconnect().catch(() => undefined);
  }

  async *#readWhole(topic: string): AsyncIterable<ReceivedMessage[]> {
    yield* this.read(await this.bounds([topic]), new AbortController().signal);
  }

  async #ask<T>(question: (admin: Admin) => Promise<T>): Promise<T> {
    try {
      return await whenLed(async () => question(await this.#connected()));
    } catch (error) {
      throw explainKafkaError(error, this.#settings.kafka);
    }
  }

  #connected(): Promise<Admin> {
    this.#admin ??= (async () => {
      const admin = this.#asking.admin();
      // Where something takes the connection and says nothing, kafkajs' own limits add up to minutes.
      const isLate = await Promise.race([
        admin.connect().then(() => false),
        sleep(CONNECT_MS_MAX, true, { ref: false }),
      ]);
      if (!isLate) return admin;
      void admin.disconnect().catch(() => undefined);
      throw new UnavailableError(
        `${this.description} can not be reached (no answer in ${CONNECT_MS_MAX / 1000} s); check KAFKA_BROKERS and KAFKA_SSL, and that it runs`,
      );
    })();
    this.#admin.catch(() => {
      this.#admin = null;
    });
    return this.#admin;
  }
}
