import { setTimeout as sleep } from 'node:timers/promises';
import { UnavailableError } from '../../../errors.ts';
import type { TopicPartition } from '../../port.ts';
import type { Brokers } from './brokers.ts';
import {
  LEADER_NOT_AVAILABLE,
  NO_ERROR,
  TOPIC_AUTHORIZATION_FAILED,
  UNKNOWN_TOPIC_OR_PARTITION,
} from './error-codes.ts';

/** Partitions that were added count after so long at most. */
const AGE_MS_MAX = 10_000;
/** A topic that was just made is known to all brokers soon. */
const UNKNOWN_MS_MAX = 15_000;
const RETRY_MS = 100;

/** Which broker leads which partition, as far as known. */
export class Leaders {
  readonly #brokers: Brokers;
  readonly #topics = new Map<string, { leaders: (number | null)[]; atMs: number }>();

  constructor(brokers: Brokers) {
    this.#brokers = brokers;
  }

  /** The partitions that the topic has now (at most 10 s ago); 0 where it isn't known. */
  partitions(topic: string): number {
    return this.#topics.get(topic)?.leaders.length ?? 0;
  }

  /** null: nobody, or not known. */
  leaderOf({ topic, partition }: TopicPartition): number | null {
    return this.#topics.get(topic)?.leaders[partition] ?? null;
  }

  /** Asks for what is not known, or was asked too long ago. @throws as `refresh`. */
  async know(topics: readonly string[], signal: AbortSignal): Promise<void> {
    const oldMs = performance.now() - AGE_MS_MAX;
    const isKnown = (topic: string): boolean => {
      const known = this.#topics.get(topic);
      return known !== undefined && known.atMs > oldMs && !known.leaders.includes(null);
    };
    if (!topics.every(isKnown)) await this.refresh(topics, signal);
  }

  /**
   * Asks anew. A topic that the cluster does not have is forgotten.
   * @throws UnavailableError where a topic must not be looked at, and what the brokers throw.
   */
  async refresh(topics: readonly string[], signal: AbortSignal): Promise<void> {
    const metadata = await this.#brokers.metadata(topics, signal);
    const atMs = performance.now();
    for (const topic of topics) {
      const { errorCode, leaders } = metadata.get(topic) ?? {
        errorCode: UNKNOWN_TOPIC_OR_PARTITION,
        leaders: [],
      };
      if (errorCode === TOPIC_AUTHORIZATION_FAILED) throw notAllowed(topic);
      const isThere = errorCode === NO_ERROR || errorCode === LEADER_NOT_AVAILABLE;
      if (isThere && leaders.length > 0) this.#topics.set(topic, { leaders, atMs });
      else this.#topics.delete(topic);
    }
  }

  /**
   * Until all these topics are there and every partition is led.
   * @throws UnavailableError after 15 s.
   */
  async wait(topics: readonly string[], signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + UNKNOWN_MS_MAX;
    for (;;) {
      await this.refresh(topics, signal);
      const missing = topics.find(
        (topic) => this.#topics.get(topic)?.leaders.includes(null) ?? true,
      );
      if (missing === undefined) return;
      if (performance.now() > endMs) {
        const what = this.#topics.has(missing)
          ? 'has a partition without a leader'
          : 'is not there';
        throw new UnavailableError(`The topic ${missing} ${what}; check the brokers`);
      }
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}

export function notAllowed(topic: string): UnavailableError {
  return new UnavailableError(
    `Kafka does not let this user work on the topic ${topic}; grant it (README, "Kafka ACLs")`,
  );
}
