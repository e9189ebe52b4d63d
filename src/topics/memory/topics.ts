import type { Clock } from '../../model/clock.ts';
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
import type { MemoryBroker } from './broker.ts';
import { Connection } from './connection.ts';
import { MemoryDeadLetters } from './dead-letters.ts';
import { MemoryMember } from './member.ts';
import type { PartitionLog } from './partition-log.ts';
import { MemoryPublisher } from './publisher.ts';

const READ_MESSAGES = 1_000;
const READ_TRIES_MAX = 60;
const QUESTION_TRIES_MAX = 10;

export interface MemoryTopicsOptions {
  /** The page views topic; the others have it as their prefix. */
  topic: string;
  /** Of topics that are made. */
  partitions: number;
  /** Tells this process from the others at the broker. */
  client: string;
  /** The process's. Default: the broker's. */
  clock?: Clock;
}

/** One process's connection to topics in memory. */
export class MemoryTopics implements Topics {
  readonly names: TopicNames;
  readonly description: string;
  readonly deadLetters: DeadLetterStore;
  readonly #broker: MemoryBroker;
  readonly #connection: Connection;
  readonly #partitions: number;
  /** Ends the questions that are under way. */
  readonly #closing = new AbortController();

  constructor(broker: MemoryBroker, options: MemoryTopicsOptions) {
    const { topic, partitions, client, clock } = options;
    this.#broker = broker;
    this.#connection = new Connection(broker, client, clock ?? broker.clock);
    this.#partitions = partitions;
    this.names = topicNames(topic);
    this.description = 'topics in memory';
    this.deadLetters = new MemoryDeadLetters(
      this.#connection,
      broker.letters(this.names.deadLetters),
      { triesMax: QUESTION_TRIES_MAX, signal: this.#closing.signal },
    );
  }

  get isKilled(): boolean {
    return this.#connection.isDead;
  }

  /**
   * The process dies: its promises never settle, its handlers are not called any more. What it had
   * sent arrives; its place in a group is free when its session is over.
   */
  kill(): void {
    this.#connection.kill();
  }

  ensureTopics(): Promise<void> {
    const { pageViews, userChanges } = this.names;
    return this.#ask(() => {
      // Both topics about users need as many partitions, or a user is with two members.
      const partitions = this.#broker.logsOf(pageViews).length || this.#partitions;
      this.#broker.ensureTopic(pageViews, partitions);
      this.#broker.ensureTopic(userChanges, partitions);
    });
  }

  publisher(): Promise<Publisher> {
    return Promise.resolve(
      new MemoryPublisher({
        broker: this.#broker,
        connection: this.#connection,
        checkpointsTopic: this.names.checkpoints,
      }),
    );
  }

  async join(
    groupId: string,
    topics: readonly string[],
    handlers: MemberHandlers,
    mark = '',
  ): Promise<GroupMember> {
    const member = new MemoryMember({
      broker: this.#broker,
      connection: this.#connection,
      groupId,
      topics,
      handlers,
      mark,
    });
    await member.start();
    return member;
  }

  bounds(topics: readonly string[]): Promise<PartitionBounds[]> {
    return this.#ask(() =>
      topics.flatMap((topic) =>
        this.#led(topic).map(({ partition, begin, end }) => ({ topic, partition, begin, end })),
      ),
    );
  }

  offsetsAtTime(topic: string, timeMs: number): Promise<TopicOffset[]> {
    return this.#ask(() =>
      this.#led(topic).map((log) => {
        return { topic, partition: log.partition, offset: log.offsetAtTime(timeMs) };
      }),
    );
  }

  async *read(
    ranges: readonly PartitionBounds[],
    signal: AbortSignal,
  ): AsyncIterable<ReceivedMessage[]> {
    const limits = { triesMax: READ_TRIES_MAX, signal };
    for (const { topic, partition, begin, end } of ranges) {
      for (let offset = begin; offset < end;) {
        const from = offset;
        const work = (): ReceivedMessage[] =>
          this.#led(topic)[partition]?.slice(from, end, READ_MESSAGES) ?? [];
        const messages = await this.#connection
          .ask({ kind: 'read' }, work, limits)
          .catch((error: unknown) => {
            if (signal.aborted) return [];
            throw error;
          });
        const last = messages.at(-1);
        if (last === undefined) break;
        offset = last.offset + 1;
        yield messages;
        if (signal.aborted) return;
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  /** The partitions of a topic. @throws where one has no leader. */
  #led(topic: string): readonly PartitionLog[] {
    const logs = this.#broker.logsOf(topic);
    const waiting = logs.find(({ hasLeader }) => !hasLeader);
    if (waiting === undefined) return logs;
    throw new Error(`no broker leads partition ${waiting.partition} of ${topic}`);
  }

  #ask<T>(work: () => T): Promise<T> {
    const limits = { triesMax: QUESTION_TRIES_MAX, signal: this.#closing.signal };
    return this.#connection.ask({ kind: 'question' }, work, limits);
  }
}
