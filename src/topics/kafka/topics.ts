import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin, Kafka } from 'kafkajs';
import { UnavailableError } from '../../errors.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Outages } from '../../observe/outages.ts';
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
import { loadCheckpoint } from './checkpoints.ts';
import { TRY_ADDRESS, createClient, explainKafkaError, openWire } from './client.ts';
import { KafkaDeadLetters } from './dead-letters.ts';
import { whenLed } from './leaders.ts';
import { KafkaMember } from './member.ts';
import { KafkaPublisher } from './publisher.ts';
import { readRanges } from './read-ranges.ts';
import { keyOf } from '../key-of.ts';
import { compressorFor } from './wire/compression.ts';
import type { Wire } from './wire/wire.ts';

/** About ten seconds until "cannot be reached". */
const QUESTION_RETRIES = 4;
const CONNECT_MS_MAX = 15_000;
const LASTING_RETRIES = 20;
/** To join again takes a group that much, where nothing is wrong. */
const REJOIN_MS_MAX = 15_000;
const BROKER_DEFAULT = -1;
const NONE_AT_TIME = -1;

export type KafkaTopicSettings = TopicSettings & { kafka: KafkaSettings };

/** The topics in Kafka. */
export class KafkaTopics implements Topics {
  readonly names: TopicNames;
  readonly description: string;
  readonly deadLetters: DeadLetterStore;
  readonly #settings: KafkaTopicSettings;
  readonly #logger: Logger;
  readonly #outages: Outages;
  readonly #asking: Kafka;
  readonly #lasting: Kafka;
  readonly #wire: Wire;
  /** Ends the questions that are under way. */
  readonly #closing = new AbortController();

  constructor(settings: KafkaTopicSettings, logger: Logger, outages: Outages) {
    this.#settings = settings;
    this.#logger = logger;
    this.#outages = outages;
    this.names = topicNames(settings.topic);
    this.description = `Kafka at ${settings.kafka.brokers.join(',')}`;
    this.#asking = createClient(settings.kafka, logger, QUESTION_RETRIES);
    this.#lasting = createClient(settings.kafka, logger, LASTING_RETRIES);
    this.#wire = openWire(settings.kafka, this.#lasting);
    this.deadLetters = new KafkaDeadLetters({
      wire: this.#wire,
      topic: this.names.deadLetters,
      closing: this.#closing.signal,
      description: this.description,
      explain: (error) => explainKafkaError(error, settings.kafka),
    });
  }

  async ensureTopics(): Promise<void> {
    await this.#administer(async (admin) => {
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
    const wire = this.#wire;
    return Promise.resolve(
      new KafkaPublisher({
        wire,
        sender: wire.sender(compressorFor(this.#settings.kafka.compression ?? 'none')),
        checkpointsTopic: checkpoints,
        outages: this.#outages,
        loadCheckpoint: (source) =>
          this.#explained(
            loadCheckpoint(wire, checkpoints, source, this.#closing.signal, this.description),
          ),
      }),
    );
  }

  async join(
    groupId: string,
    topics: readonly string[],
    handlers: MemberHandlers,
    mark = '',
  ): Promise<GroupMember> {
    const outages = this.#outages;
    const member = new KafkaMember({
      kafka: this.#lasting,
      inside: this.#wire.inside,
      asking: this.#asking,
      groupId,
      topics,
      handlers,
      mark,
      logger: this.#logger,
      onGroup: (error) => {
        const sentence = error && `Kafka: ${error.message}; joining the group again`;
        outages.set('Kafka', 'group', sentence, { graceMs: REJOIN_MS_MAX });
      },
    });
    try {
      await member.start();
    } catch (error) {
      throw explainKafkaError(error, this.#settings.kafka);
    }
    return member;
  }

  async bounds(topics: readonly string[]): Promise<PartitionBounds[]> {
    const { signal } = this.#closing;
    const bounds = async (): Promise<PartitionBounds[]> => {
      const known = await this.#wire.known(topics, signal);
      const found = await this.#wire.bounds(known, signal);
      return known.map((at) => ({ ...at, ...(found.get(keyOf(at)) ?? { begin: 0, end: 0 }) }));
    };
    return await this.#explained(bounds());
  }

  async offsetsAtTime(topic: string, timeMs: number): Promise<TopicOffset[]> {
    const { signal } = this.#closing;
    const offsets = async (): Promise<TopicOffset[]> => {
      await this.#wire.leaders.wait([topic], signal);
      const known = await this.#wire.known([topic], signal);
      const asked = known.map((at) => ({ ...at, timestampMs: timeMs }));
      const found = await this.#wire.offsets(asked, signal);
      // Asked for after the times: what comes in between lies before the end.
      const bounds = await this.#wire.bounds(known, signal);
      return known.map((at) => {
        const offset = found.get(keyOf(at)) ?? NONE_AT_TIME;
        return { ...at, offset: offset < 0 ? (bounds.get(keyOf(at))?.end ?? 0) : offset };
      });
    };
    return await this.#explained(offsets());
  }

  async *read(
    ranges: readonly PartitionBounds[],
    signal: AbortSignal,
  ): AsyncIterable<ReceivedMessage[]> {
    yield* readRanges(this.#wire, ranges, signal, this.description);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#wire[Symbol.asyncDispose]();
  }

  async #explained<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw explainKafkaError(error, this.#settings.kafka);
    }
  }

  /**
   * By an admin of its own for each try: one that has asked about a topic asks about it for ever, and
   * creates nothing while that topic is away (kafkajs' targetTopics).
   */
  async #administer(question: (admin: Admin) => Promise<void>): Promise<void> {
    const once = async (): Promise<void> => {
      const admin = await this.#newAdmin();
      try {
        await question(admin);
      } finally {
        await admin.disconnect().catch(() => undefined);
      }
    };
    await this.#explained(whenLed(once));
  }

  async #newAdmin(): Promise<Admin> {
    const admin = this.#asking.admin();
    // Where something takes the connection and says nothing, kafkajs' own limits add up to minutes.
    const isLate = await Promise.race([
      admin.connect().then(() => false),
      sleep(CONNECT_MS_MAX, true, { ref: false }),
    ]);
    if (!isLate) return admin;
    void admin.disconnect().catch(() => undefined);
    throw new UnavailableError(
      `${this.description} cannot be reached (no answer in ${CONNECT_MS_MAX / 1000} s)`,
      { todo: TRY_ADDRESS },
    );
  }
}
