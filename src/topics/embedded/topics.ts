import type { DatabaseSync } from 'node:sqlite';
import { setImmediate as turn } from 'node:timers/promises';
import { type Clock, systemClock } from '../../model/clock.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Outages } from '../../observe/outages.ts';
import type { TopicSettings } from '../../settings/types.ts';
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
import { EmbeddedDeadLetters } from './dead-letters.ts';
import { openFile, topicsFile } from './file.ts';
import { EmbeddedLog } from './log.ts';
import { holdGroup } from './member-lock.ts';
import { EmbeddedMember } from './member.ts';
import { EmbeddedPublisher } from './publisher.ts';
import { dropAllOld } from './retention.ts';
import { explained } from './sqlite-error.ts';

/** A day more than the rule looks back by default. */
export const RETENTION_MS = 8 * 24 * 60 * 60 * 1000;
const RETENTION_EVERY_MS = 60_000;
const READ_MESSAGES = 1_000;

/** The topics in one SQLite file, for one machine. Several processes may use it at once. */
export class EmbeddedTopics implements Topics {
  readonly names: TopicNames;
  readonly description: string;
  readonly deadLetters: DeadLetterStore;
  readonly #settings: TopicSettings;
  readonly #logger: Logger;
  readonly #outages: Outages;
  readonly #db: DatabaseSync;
  readonly #log: EmbeddedLog;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #waiters: (() => void)[] = [];

  private constructor(
    settings: TopicSettings,
    logger: Logger,
    outages: Outages,
    clock: Clock,
    db: DatabaseSync,
  ) {
    this.#settings = settings;
    this.#logger = logger;
    this.#outages = outages;
    this.#clock = clock;
    this.#db = db;
    this.names = topicNames(settings.topic);
    this.description = `embedded file ${topicsFile(settings.stateDir)}`;
    this.#log = new EmbeddedLog(db);
    this.deadLetters = new EmbeddedDeadLetters(db, topicsFile(settings.stateDir));
    void this.#keepDroppingOld();
  }

  /** @throws UnavailableError when the file cannot be used. */
  static open(
    settings: TopicSettings,
    logger: Logger,
    outages: Outages,
    clock = systemClock,
  ): EmbeddedTopics {
    return new EmbeddedTopics(settings, logger, outages, clock, openFile(settings.stateDir));
  }

  ensureTopics(): Promise<void> {
    const { pageViews, userChanges } = this.names;
    return this.#attempt(() =>
      this.#log.ensureTopics([pageViews, userChanges], this.#settings.partitions),
    );
  }

  publisher(): Promise<Publisher> {
    const file = topicsFile(this.#settings.stateDir);
    return Promise.resolve(
      new EmbeddedPublisher({
        log: this.#log,
        file,
        clock: this.#clock,
        outages: this.#outages,
        onAppended: () => this.#wake(),
      }),
    );
  }

  join(
    groupId: string,
    topics: readonly string[],
    handlers: MemberHandlers,
    mark = '',
  ): Promise<GroupMember> {
    return this.#attempt(() => {
      const lock = holdGroup(this.#settings.stateDir, groupId);
      const member = new EmbeddedMember({
        log: this.#log,
        file: topicsFile(this.#settings.stateDir),
        groupId,
        topics,
        handlers,
        mark,
        nextAppend: (timeoutMs) => this.#nextAppend(timeoutMs),
        clock: this.#clock,
        outages: this.#outages,
        lock,
      });
      try {
        member.start();
      } catch (error) {
        lock[Symbol.dispose]();
        throw error;
      }
      return member;
    });
  }

  bounds(topics: readonly string[]): Promise<PartitionBounds[]> {
    return this.#attempt(() => this.#log.bounds(topics));
  }

  offsetsAtTime(topic: string, timeMs: number): Promise<TopicOffset[]> {
    return this.#attempt(() => this.#log.offsetsAtTime(topic, timeMs));
  }

  async *read(
    ranges: readonly PartitionBounds[],
    signal: AbortSignal,
  ): AsyncIterable<ReceivedMessage[]> {
    for (const { topic, partition, begin, end } of ranges) {
      for (let offset = begin; offset < end && !signal.aborted;) {
        const messages = await this.#attempt(() =>
          this.#log.slice({ topic, partition, offset }, end, READ_MESSAGES),
        );
        const last = messages.at(-1);
        if (last === undefined) break;
        offset = last.offset + 1;
        yield messages;
        // All of this is synchronous: without a turn, a long read holds up timers, sockets and signals.
        await turn();
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#wake();
    this.#db.close();
    return Promise.resolve();
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #nextAppend(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel();
        resolve();
      };
      const timer = this.#clock.timer(timeoutMs, () => {
        this.#waiters = this.#waiters.filter((waiter) => waiter !== wake);
        resolve();
      });
      this.#waiters.push(wake);
    });
  }

  /** A synchronous body whose failure is a rejection, with a sentence for a broken file. */
  async #attempt<T>(body: () => T): Promise<T> {
    try {
      return await Promise.resolve().then(body);
    } catch (error) {
      throw explained(topicsFile(this.#settings.stateDir), error);
    }
  }

  /** Until the topics are closed. */
  async #keepDroppingOld(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#clock.sleep(RETENTION_EVERY_MS, signal).catch(() => undefined);
      if (!signal.aborted) await this.#dropOld();
    }
  }

  async #dropOld(): Promise<void> {
    try {
      const beforeMs = this.#clock.epochMs() - RETENTION_MS;
      const { signal } = this.#closing;
      const { dropped, unread } = await dropAllOld(this.#log, beforeMs, signal, this.#clock);
      if (dropped > 0) this.#logger.debug({ dropped }, 'dropped old messages');
      if (unread > 0)
        this.#logger.warn({ unread }, 'dropped old messages that were never delivered');
    } catch (error) {
      this.#logger.debug({ err: error }, 'old messages could not be dropped now');
    }
  }
}
