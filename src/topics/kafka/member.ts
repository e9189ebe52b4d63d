import type { EachBatchPayload, Kafka } from 'kafkajs';
import type { Logger } from '../../observe/logger.ts';
import {
  LOST_MARK,
  type Position,
  beginOf,
  isFresh,
  isKnownGroup,
  isLost,
  lagOf,
  savedOf,
} from '../group-position.ts';
import { keyOf } from '../key-of.ts';
import type { GroupMember, MemberHandlers, TopicOffset, TopicPartition, Wait } from '../port.ts';
import { beating, isLater } from './beating.ts';
import { GroupConsumer, HEARTBEAT_MS, SESSION_MS } from './consumer.ts';
import { crashOf } from './grants.ts';
import { HandedOver } from './handed-over.ts';
import { HeardClock } from './heard-clock.ts';
import { Ends } from './losses.ts';
import { Reading } from './reading.ts';
import { Watch } from './watch.ts';
import { type Fetched, fetchedOf } from './wire/group-fetch.ts';
import type { Inside } from './wire/inside.ts';
import { Witness } from './witness.ts';

const LAG_CACHE_MS = 1_000;
/** Heard of longer ago than this, the group may have given our partitions to another member. */
const CURRENT_MS = SESSION_MS - 2 * HEARTBEAT_MS;
const CHECK_RETRY_MS = 500;
const BEAT_MS = HEARTBEAT_MS / 2;
const WATCH_MS = 1_000;
/** A start that takes longer is left to the watch. */
const START_MS_MAX = 10_000;
/** How soon kafkajs has found out that it asks for messages that are gone. */
const RESET_MS_MAX = 5_000;
/** The group has another generation, or another owner, by now: their offsets are theirs. */
const STALE = /ILLEGAL_GENERATION|UNKNOWN_MEMBER_ID|REBALANCE_IN_PROGRESS|FENCED_INSTANCE_ID/;

/** What kafkajs answers by joining the group again. */
const REJOIN =
  /^(REBALANCE_IN_PROGRESS|NOT_COORDINATOR_FOR_GROUP|ILLEGAL_GENERATION|UNKNOWN_MEMBER_ID)$/;

export interface MemberDeps {
  kafka: Kafka;
  inside: Inside;
  /** A client that gives up soon. */
  asking: Kafka;
  groupId: string;
  topics: readonly string[];
  handlers: MemberHandlers;
  /** The metadata of every offset that is committed. */
  mark: string;
  logger: Logger;
  /** Told of what makes it join the group again, and with null when it has. */
  onGroup: (error: Error | null) => void;
}

/**
 * A member of a consumer group. kafkajs' fetch position runs ahead of what is committed: a batch is
 * resolved when it has been taken in, and `commit` alone says what is finished.
 */
export class KafkaMember implements GroupMember {
  readonly #deps: MemberDeps;
  #consumer: GroupConsumer;
  readonly #witness: Witness;
  readonly #watch = new Watch(performance.now());
  readonly #ending = new AbortController();
  #watching: Promise<void> = Promise.resolve();
  readonly #failed = Promise.withResolvers<never>();
  #owned = new Set<string>();
  /** A heartbeat has told of a rebalance: what was fetched before is not handed over any more. */
  #isVoid = false;
  readonly #handedOver = new HandedOver();
  /** Whether messages were lost before the assignment: commits wait for the answer. */
  #checking: Promise<void> = Promise.resolve();
  /** The group had offsets once: one without any is no new group. */
  #wasKnown = false;
  /** Whether the marks of this assignment were compared. */
  #isMarked = false;
  /** Counts the assignments, and the consumers. */
  #generation = 0;
  readonly #reading = new Reading();
  /** Resolves when `#reading` knows what this assignment begins with. */
  #begun = Promise.withResolvers<void>();
  readonly #ends = new Ends();
  readonly #clock = new HeardClock();

  constructor(deps: MemberDeps) {
    this.#deps = deps;
    this.#failed.promise.catch(() => undefined);
    this.#witness = new Witness(deps);
    this.#consumer = this.#newConsumer();
  }

  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  get isCurrent(): boolean {
    return this.#clock.silentMs < CURRENT_MS;
  }

  get waits(): readonly Wait[] {
    return this.#watch.waits(performance.now());
  }

  async start(): Promise<void> {
    await this.#consumer.start(null);
    this.#watching = this.#watchOver();
  }

  #newConsumer(): GroupConsumer {
    const { kafka, inside, groupId, topics, onGroup } = this.#deps;
    const events = {
      onHeartbeat: () => {
        this.#clock.heard();
        this.#watch.heard(performance.now());
      },
      onRebalancing: () => this.#voided(),
      onJoined: (assignment: Readonly<Record<string, number[]>>) => this.#joined(assignment),
      onCrash: (error: Error, canGoOn: boolean) => {
        this.#voided();
        if (canGoOn) return onGroup(error);
        this.#failed.reject(crashOf(error, groupId, topics));
      },
      onBatch: (payload: EachBatchPayload) => this.#eachBatch(payload),
      onPassed: (topic: string, partition: number, lastOffset: number) => {
        this.#reading.passed(keyOf({ topic, partition }), lastOffset);
      },
      onFetch: (node: number, isAsked: boolean) =>
        this.#watch.fetching(node, isAsked ? performance.now() : null),
    };
    return new GroupConsumer({ kafka, inside, groupId, topics, events });
  }

  get settled(): Promise<void> {
    return this.#checking;
  }

  async commit(offsets: readonly TopicOffset[]): Promise<void> {
    const owned = offsets.filter((at) => this.#owned.has(keyOf(at)));
    if (owned.length === 0) return;
    const generation = this.#generation;
    try {
      await this.#checking;
      // They are of the assignment before: the next one found its own way.
      if (generation !== this.#generation) return;
      this.#watch.committing(performance.now());
      await this.#save(owned);
    } catch (error) {
      const { type, message } = error as { type?: string; message: string };
      if (!STALE.test(type ?? message)) throw error;
    } finally {
      this.#watch.committing(null);
    }
  }

  async #save(offsets: readonly TopicOffset[]): Promise<void> {
    if (offsets.length > 0) await this.#consumer.commit(offsets, this.#deps.mark);
  }

  async lag(): Promise<ReadonlyMap<string, number>> {
    return lagOf(this.#deps.topics, await this.#witness.recent(LAG_CACHE_MS));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#owned = new Set();
    this.#ending.abort();
    await this.#consumer.leave();
    await this.#watching;
    await this.#witness[Symbol.asyncDispose]();
  }

  /** Until the member is left: a consumer that stands still is replaced by another. */
  async #watchOver(): Promise<void> {
    const { signal } = this.#ending;
    const { logger } = this.#deps;
    for (;;) {
      const sleptAtMs = performance.now();
      if (!(await isLater(WATCH_MS, signal))) return;
      const wokeAtMs = performance.now();
      if (wokeAtMs - sleptAtMs > 2 * WATCH_MS) this.#watch.slept(wokeAtMs);
      await this.#look();
      const fault = this.#watch.fault(this.#witness.answeringSinceMs, performance.now());
      if (fault === null || signal.aborted) continue;
      const waits = this.waits.map(({ what, seconds }) => `${what} for ${seconds} s`).join(', ');
      logger.warn({ waits }, `Kafka: ${fault}; joining the group anew with another consumer`);
      await this.#replace();
    }
  }

  /** What the witness sees of our partitions, told to the watch. */
  async #look(): Promise<void> {
    try {
      const positions = await this.#witness.recent(LAG_CACHE_MS);
      const mine = positions.filter((at) => this.#owned.has(keyOf(at)));
      const reaches = mine.flatMap((at) => this.#reading.reach(keyOf(at), at.high) ?? []);
      this.#watch.at(reaches, performance.now());
      const shortened = this.#ends.shortened(mine);
      if (shortened.length === 0) return;
      // With a topic, the group's offsets in its other partitions went too.
      const lost = mine.filter((at) => shortened.includes(at) || isLost(at, true));
      this.#deps.handlers.onLost(lost.map(beginOf));
      // Their offsets tell of it no more. By the mark, whoever has them next finds what is owed.
      await this.#consumer.commit(lost.map(beginOf), LOST_MARK);
    } catch (error) {
      this.#deps.logger.debug({ err: error }, 'the offsets of the group could not be read');
    }
  }

  /** Nobody waits for the old consumer's end: what it waits for may never come. */
  async #replace(): Promise<void> {
    const old = this.#consumer;
    this.#voided();
    this.#owned = new Set();
    this.#generation += 1;
    this.#watch.replaced(performance.now());
    void old.leave();
    const { signal } = this.#ending;
    while (!signal.aborted) {
      this.#consumer = this.#newConsumer();
      try {
        const started = this.#consumer.start(old.memberId);
        await Promise.race([started, isLater(START_MS_MAX, signal)]);
        return;
      } catch (error) {
        this.#deps.logger.debug({ err: error }, 'another consumer could not be started');
        void this.#consumer.leave();
        await isLater(WATCH_MS, signal);
      }
    }
  }

  #joined(assignment: Readonly<Record<string, number[]>>): void {
    const partitions: TopicPartition[] = Object.entries(assignment).flatMap(([topic, ids]) =>
      ids.map((partition) => ({ topic, partition })),
    );
    this.#owned = new Set(partitions.map(keyOf));
    this.#isVoid = false;
    this.#handedOver.clear();
    this.#generation += 1;
    this.#reading.clear();
    this.#begun.resolve();
    this.#begun = Promise.withResolvers();
    this.#clock.heard();
    this.#deps.onGroup(null);
    this.#isMarked = false;
    this.#watch.joined(performance.now());
    this.#checking = this.#checkLost();
    const share = partitions.length / Math.max(1, this.#consumer.partitionsInAll);
    this.#deps.handlers.onAssigned({ partitions, share });
  }

  /**
   * After a rebalance, what the group has committed tells whether messages went before it read them:
   * kafkajs goes on at the oldest message then, and commits -2 for it (ConsumerGroup.setDefaultOffset).
   * That is waited for, so that it does not come after the commit that follows a loss. All of a new
   * group's partitions that lost nothing yet get an offset: what has none later lost its topic.
   */
  async #checkLost(): Promise<void> {
    const owned = this.#owned;
    const resetByMs = performance.now() + RESET_MS_MAX;
    while (owned === this.#owned && !this.#ending.signal.aborted) {
      try {
        const all = await this.#witness.read();
        if (owned !== this.#owned) return;
        const isKnown = (this.#wasKnown ||= isKnownGroup(all));
        const mine = all.filter((at) => owned.has(keyOf(at)));
        const lost = mine.filter((at) => isLost(at, isKnown));
        this.#begin(mine);
        if (!isKnown) await this.#save(all.filter(isFresh).map(beginOf));
        if (owned !== this.#owned) return;
        this.#checkMarks(mine.filter((at) => !lost.includes(at)));
        if (lost.length === 0) return;
        if (lost.every(({ saved }) => saved < 0) || performance.now() > resetByMs) {
          this.#ends.restart(lost);
          return this.#deps.handlers.onLost(lost.map(beginOf));
        }
      } catch (error) {
        this.#deps.logger.debug({ err: error }, 'the offsets of the group could not be read');
      }
      await isLater(CHECK_RETRY_MS, this.#ending.signal);
    }
  }

  /** A partition without an offset is none of another mark: it is read from its beginning, or lost. */
  #checkMarks(kept: readonly Position[]): void {
    const { handlers, mark } = this.#deps;
    if (this.#isMarked) return;
    this.#isMarked = true;
    const other = kept.filter((at) => at.saved >= 0 && at.mark !== mark);
    if (other.length > 0) handlers.onOtherMark(other.map(savedOf));
  }

  #begin(positions: readonly Position[]): void {
    for (const at of positions) this.#reading.begin(keyOf(at), at);
    this.#begun.resolve();
  }

  /**
   * Whether a batch goes on where the partition is; then its end is where the next has to.
   *
   * A gap may be a compacted or a transactional one; where the log begins after it, it was lost.
   * And kafkajs may ask too far: with several brokers, one of its fetchers joins the group again
   * (a leader has moved, a partition was added) while the fetches of the others are under way, and
   * their answers pass for those of the new assignment (ConsumerGroup.recoverFromFetch). Then it is
   * sent back; not for ever, since batches of nothing but control records never reach us.
   */
  async #follows(fetched: Fetched, generation: number): Promise<boolean> {
    const { topic, partition, asked, first, last } = fetched;
    const key = keyOf(fetched);
    const expected = this.#reading.expected(key);
    if (expected !== undefined && first > expected) {
      const at = (await this.#witness.read()).find((one) => keyOf(one) === key);
      if (generation !== this.#generation) return false;
      if (at !== undefined && at.low > expected) this.#deps.handlers.onLost([beginOf(at)]);
      else if (asked > expected && this.#reading.isToGoBack(key)) {
        this.#consumer.seek({ topic, partition, offset: expected });
        return false;
      }
    }
    this.#reading.took(key, last);
    return true;
  }

  #voided(): void {
    if (this.#isVoid) return;
    this.#isVoid = true;
    this.#watch.joining(performance.now());
    this.#deps.handlers.onRebalancing();
  }

  /**
   * Takes a batch in; heartbeats go on while there is no room for it. kafkajs hands over all batches
   * of a fetch before it joins the group again, so after the first that learns of a rebalance the
   * others pass at once: each waiting for room would keep the whole group waiting.
   */
  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    if (this.#isVoid || payload.isStale() || !payload.isRunning()) return;
    const fetched = fetchedOf(payload.batch);
    const key = keyOf(fetched);
    if (!this.#owned.has(key)) return;
    const generation = this.#generation;
    const isOver = (): boolean => generation !== this.#generation || !payload.isRunning();
    try {
      await beating(this.#begun.promise, payload, BEAT_MS);
      if (isOver() || this.#isVoid) return;
      const follows = this.#follows(fetched, generation);
      await beating(follows, payload, BEAT_MS);
      if (isOver() || !(await follows)) return;
      this.#watch.handing(key, performance.now());
      const { handlers } = this.#deps;
      const taken = this.#handedOver.give(key, fetched.messages(), (messages) =>
        handlers.onMessages(messages),
      );
      await beating(taken, payload, BEAT_MS);
      // What a new assignment has made void is to be fetched again.
      if (isOver()) return;
      payload.resolveOffset(String(fetched.last));
      this.#handedOver.done(key);
      await payload.heartbeat();
    } catch (error) {
      if (REJOIN.test((error as { type?: string }).type ?? '')) this.#voided();
      throw error;
    } finally {
      if (generation === this.#generation) this.#watch.handing(null, performance.now());
    }
  }
}
