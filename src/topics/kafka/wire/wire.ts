import { setTimeout as sleep } from 'node:timers/promises';
import { UnavailableError } from '../../../errors.ts';
import type { TopicPartition } from '../../port.ts';
import { machineTimeMs } from '../machine-time.ts';
import { keyOf } from '../../key-of.ts';
import type { Brokers, OffsetQuestion } from './brokers.ts';
import type { Compressor } from './compression.ts';
import { NO_ERROR, TOPIC_AUTHORIZATION_FAILED } from './error-codes.ts';
import type { Inside } from './inside.ts';
import { Leaders, notAllowed } from './leaders.ts';
import { Sender } from './sender.ts';

/** How long a question with an answer is asked again. */
const QUESTION_MS_MAX = 15_000;
const RETRY_MS = 200;
/** kafkajs' name for a user that the brokers refuse: no use in asking again. */
const REFUSED = 'KafkaJSSASLAuthenticationError';
const END = -1;
const BEGIN = -2;

/** The program's own work on a cluster, without a group: sending, offsets, reading. */
export class Wire implements AsyncDisposable {
  readonly brokers: Brokers;
  readonly leaders: Leaders;
  readonly inside: Inside;

  constructor(brokers: Brokers, inside: Inside) {
    this.brokers = brokers;
    this.leaders = new Leaders(brokers);
    this.inside = inside;
  }

  sender(compressor: Compressor | null): Sender {
    const { brokers, leaders, inside } = this;
    const textOf = (code: number): string => inside.errorOf(code).message;
    return new Sender({ brokers, leaders, compressor, nowMs: machineTimeMs, textOf });
  }

  /** Those of the topics that are there, with their partitions. @throws what the brokers throw. */
  async known(topics: readonly string[], signal: AbortSignal): Promise<TopicPartition[]> {
    await this.#persist(signal, async () => {
      await this.leaders.refresh(topics, signal);
      return null;
    });
    return topics.flatMap((topic) =>
      Array.from({ length: this.leaders.partitions(topic) }, (_, partition) => ({
        topic,
        partition,
      })),
    );
  }

  /** By `keyOf`, where each partition begins and ends for a reader of committed messages. */
  async bounds(
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
  ): Promise<Map<string, { begin: number; end: number }>> {
    const begins = await this.offsets(
      partitions.map((at) => ({ ...at, timestampMs: BEGIN })),
      signal,
    );
    const ends = await this.offsets(
      partitions.map((at) => ({ ...at, timestampMs: END })),
      signal,
    );
    return new Map(
      [...begins].map(([key, begin]) => [key, { begin, end: Math.max(begin, ends.get(key) ?? 0) }]),
    );
  }

  /**
   * By `keyOf`, what the leaders answer; each partition may be in it once. Asks again while leaders
   * move. @throws UnavailableError, or the last failure, after 15 s.
   */
  async offsets(
    questions: readonly OffsetQuestion[],
    signal: AbortSignal,
  ): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    const topics = [...new Set(questions.map(({ topic }) => topic))];
    await this.#persist(signal, async (isAgain) => {
      if (isAgain) await this.leaders.refresh(topics, signal);
      else await this.leaders.know(topics, signal);
      const left = questions.filter((asked) => !found.has(keyOf(asked)));
      return await this.#askOffsets(left, found, signal);
    });
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.brokers[Symbol.asyncDispose]();
  }

  /** What is still without an answer, or null. */
  async #askOffsets(
    questions: readonly OffsetQuestion[],
    found: Map<string, number>,
    signal: AbortSignal,
  ): Promise<Error | null> {
    const byNode = new Map<number, OffsetQuestion[]>();
    let trouble: Error | null = null;
    for (const asked of questions) {
      const node = this.leaders.leaderOf(asked);
      if (node === null) {
        trouble = new UnavailableError(
          `The partition ${asked.partition} of the topic ${asked.topic} has no leader; check the brokers`,
        );
      } else byNode.set(node, [...(byNode.get(node) ?? []), asked]);
    }
    await Promise.all(
      [...byNode].map(async ([node, asked]) => {
        for (const answer of await this.brokers.listOffsets(node, asked, signal)) {
          if (answer.errorCode === TOPIC_AUTHORIZATION_FAILED) throw notAllowed(answer.topic);
          if (answer.errorCode === NO_ERROR) found.set(keyOf(answer), answer.offset);
          else trouble = this.inside.errorOf(answer.errorCode);
        }
      }),
    );
    const isMissing = questions.some((asked) => !found.has(keyOf(asked)));
    return isMissing ? (trouble ?? new Error('a broker has not answered for a partition')) : null;
  }

  /** Works until nothing is left (null), or for as long as a question may take. */
  async #persist(
    signal: AbortSignal,
    work: (isAgain: boolean) => Promise<Error | null>,
  ): Promise<void> {
    const endMs = performance.now() + QUESTION_MS_MAX;
    for (let isAgain = false; ; isAgain = true) {
      let trouble: Error | null;
      try {
        trouble = await work(isAgain);
      } catch (error) {
        trouble = error as Error;
        const isFinal = error instanceof UnavailableError || trouble.name === REFUSED;
        if (isFinal || signal.aborted) throw error;
      }
      if (trouble === null) return;
      if (performance.now() > endMs) throw trouble;
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}
