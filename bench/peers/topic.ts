import { type Admin, Kafka, type KafkaJSError, logLevel } from 'kafkajs';
import { registerCodecs } from '../../src/topics/kafka/codecs.ts';
import { until } from '../stage.ts';

const PARTITIONS = 6;

export interface Stored {
  /** When the broker appended it, epoch ms. */
  appendedMs: number;
  value: string;
}

/** The topics under measurement, seen from outside of every program that writes to them. */
export class WatchedTopics implements AsyncDisposable {
  readonly #kafka: Kafka;
  readonly #admin: Admin;

  private constructor(kafka: Kafka, admin: Admin) {
    this.#kafka = kafka;
    this.#admin = admin;
  }

  static async open(brokers: readonly string[]): Promise<WatchedTopics> {
    registerCodecs();
    const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    return new WatchedTopics(kafka, admin);
  }

  /** Its messages have the broker's time, whoever writes them. */
  async create(topic: string): Promise<void> {
    const configEntries = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }];
    await this.#admin.createTopics({
      topics: [{ topic, numPartitions: PARTITIONS, configEntries }],
    });
    // For a moment its partitions have no leader that answers.
    await until(`the topic ${topic} is there`, 20, async () =>
      this.count(topic).then(
        () => true,
        () => false,
      ),
    );
  }

  /** How many messages there are. */
  async count(topic: string): Promise<number> {
    const offsets = await this.#admin.fetchTopicOffsets(topic);
    return offsets.reduce((sum, { offset }) => sum + Number(offset), 0);
  }

  /** How many of them a group has finished; 0 while it has no coordinator. */
  async finished(topic: string, groupId: string): Promise<number> {
    try {
      const [found] = await this.#admin.fetchOffsets({ groupId, topics: [topic] });
      const offsets = (found?.partitions ?? []).map(({ offset }) => Number(offset));
      return offsets.reduce((sum, offset) => sum + Math.max(0, offset), 0);
    } catch (error) {
      if ((error as KafkaJSError).retriable) return 0;
      throw error;
    }
  }

  /** All that was written; `count` of them are waited for. */
  async read(topic: string, count: number): Promise<Stored[]> {
    const consumer = this.#kafka.consumer({ groupId: `${topic}-reader` });
    const stored: Stored[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => {
        const value = message.value?.toString('utf8');
        if (value !== undefined) stored.push({ appendedMs: Number(message.timestamp), value });
        if (stored.length >= count) resolve();
      },
    });
    await promise;
    await consumer.disconnect();
    return stored;
  }

  async delete(topics: readonly string[]): Promise<void> {
    await this.#admin.deleteTopics({ topics: [...topics] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#admin.disconnect();
  }
}
