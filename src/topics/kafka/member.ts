import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin, Cluster, Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import { UnavailableError } from '../../errors.ts';
import type { Logger } from '../../observe/logger.ts';
import type { GroupMember, MemberHandlers, TopicOffset, TopicPartition } from '../port.ts';
import { coAssigner } from './co-assigner.ts';
import { whenLed } from './leaders.ts';
import { type Position, beginOf, isFresh, readPositions, savedOf } from './positions.ts';
import { receivedMessages } from './received.ts';

const SESSION_MS = 10_000;
const HEARTBEAT_MS = 1_000;
const REBALANCE_MS = 15_000;
/** The longest wait of a fetch: a rebalance is noticed that soon when nothing comes. */
const FETCH_WAIT_MS = 500;
/** A partition that was added is read after so long at most. */
const METADATA_MS_MAX = 60_000;
const LAG_CACHE_MS = 1_000;
/** Heard of longer ago than this, the group may have given our partitions to another member. */
const CURRENT_MS = SESSION_MS - 2 * HEARTBEAT_MS;
const CHECK_RETRY_MS = 500;
/** How soon kafkajs has found out that it asks for messages that are gone. */
const RESET_MS_MAX = 5_000;
const SENT_BACK_MAX = 3;
/** The group has another generation, or another owner, by now: their offsets are theirs. */
const STALE = /ILLEGAL_GENERATION|UNKNOWN_MEMBER_ID|REBALANCE_IN_PROGRESS|FENCED_INSTANCE_ID/;

/** What kafkajs answers by joining the group again. */
const REJOIN =
  /^(REBALANCE_IN_PROGRESS|NOT_COORDINATOR_FOR_GROUP|ILLEGAL_GENERATION|UNKNOWN_MEMBER_ID)$/;

export interface MemberDeps {
  kafka: Kafka;
  admin: () => Promise<Admin>;
  groupId: string;
  topics: readonly string[];
  handlers: MemberHandlers;
  /** The metadata of every offset that is committed. */
  mark: string;
  logger: Logger;
}

/**
 * A member of a consumer group. kafkajs' fetch position runs ahead of what is committed: a batch is
 * resolved when it has been taken in, and `commit` alone says what is finished.
 */
export class KafkaMember implements GroupMember {
  readonly #deps: MemberDeps;
  readonly #consumer: Consumer;
  /** kafkajs' own view of the topics, as fresh as the assignment. */
  #cluster: Cluster | null = null;
  readonly #failed = Promise.withResolvers<never>();
  #owned = new Set<string>();
  /** A heartbeat has told of a rebalance: what was fetched before is not handed over any more. */
  #isVoid = false;
  /** Batches handed over whose taking in was cut short: kafkajs fetches them again. */
  #cutShort = new Map<string, { upto: number; taken: Promise<void> }>();
  #read: { atMs: number; positions: Promise<Position[]> } | null = null;
  /** Whether messages were lost before the assignment: commits wait for the answer. */
  #checking: Promise<void> = Promise.resolve();
  /** Whether the marks of this assignment were compared. */
  #isMarked = false;
  /** Counts the assignments. */
  #generation = 0;
  /** By partition, the offset to go on from: committed, or after the last one handed over. */
  readonly #next = new Map<string, number>();
  /** Resolves when `#next` knows what this assignment begins with. */
  #begun = Promise.withResolvers<void>();
  /** By partition, how often in a row it was sent back. */
  readonly #sentBack = new Map<string, number>();
  readonly #clock = new HeardClock();

  constructor(deps: MemberDeps) {
    this.#deps = deps;
    this.#failed.promise.catch(() => undefined);
    this.#consumer = deps.kafka.consumer({
      groupId: deps.groupId,
      partitionAssigners: [
        (config) => {
          this.#cluster = config.cluster;
          return coAssigner(config);
        },
      ],
      sessionTimeout: SESSION_MS,
      heartbeatInterval: HEARTBEAT_MS,
      rebalanceTimeout: REBALANCE_MS,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      metadataMaxAge: METADATA_MS_MAX,
      minBytes: 1,
      allowAutoTopicCreation: false,
      retry: {
        retries: 1_000_000,
        initialRetryTime: 100,
        maxRetryTime: 2_000,
        restartOnFailure: () => Promise.resolve(true),
      },
    });
  }

  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  get isCurrent(): boolean {
    return this.#clock.silentMs < CURRENT_MS;
  }

  async start(): Promise<void> {
    const consumer = this.#consumer;
    const { topics, logger } = this.#deps;
    consumer.on(consumer.events.HEARTBEAT, () => this.#clock.heard());
    consumer.on(consumer.events.REBALANCING, () => this.#voided());
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
      this.#joined(payload.memberAssignment),
    );
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      this.#voided();
      const { message } = payload.error;
      if (payload.restart) return logger.warn(`Kafka: ${message}; joining the group again`);
      this.#failed.reject(new UnavailableError(`Kafka: the consumer can not go on: ${message}`));
    });
    await consumer.connect();
    await whenLed(() => consumer.subscribe({ topics: [...topics], fromBeginning: true }));
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#eachBatch(payload),
    });
  }

  async commit(offsets: readonly TopicOffset[]): Promise<void> {
    const owned = offsets.filter((at) => this.#owned.has(keyOf(at)));
    if (owned.length === 0) return;
    try {
      await this.#checking;
      await this.#save(owned);
    } catch (error) {
      const { type, message } = error as { type?: string; message: string };
      if (!STALE.test(type ?? message)) throw error;
    }
  }

  async #save(offsets: readonly TopicOffset[]): Promise<void> {
    const metadata = this.#deps.mark;
    await this.#consumer.commitOffsets(
      offsets.map((at) => ({ ...at, offset: String(at.offset), metadata })),
    );
  }

  async lag(): Promise<ReadonlyMap<string, number>> {
    const value = new Map<string, number>(this.#deps.topics.map((topic) => [topic, 0]));
    for (const { topic, saved, low, high } of await this.#positions()) {
      value.set(topic, (value.get(topic) ?? 0) + Math.max(0, high - Math.max(saved, low)));
    }
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#owned = new Set();
    await this.#consumer.disconnect().catch(() => undefined);
  }

  #joined(assignment: Readonly<Record<string, number[]>>): void {
    const partitions: TopicPartition[] = Object.entries(assignment).flatMap(([topic, ids]) =>
      ids.map((partition) => ({ topic, partition })),
    );
    this.#owned = new Set(partitions.map(keyOf));
    this.#isVoid = false;
    this.#cutShort.clear();
    this.#generation += 1;
    this.#next.clear();
    this.#sentBack.clear();
    this.#begun.resolve();
    this.#begun = Promise.withResolvers();
    this.#clock.heard();
    this.#isMarked = false;
    this.#checking = this.#checkLost();
    const share = partitions.length / Math.max(1, this.#partitionsInAll);
    this.#deps.handlers.onAssigned({ partitions, share });
  }

  /** Of all the topics together. */
  get #partitionsInAll(): number {
    return this.#deps.topics
      .map((topic) => this.#cluster?.findTopicPartitionMetadata(topic).length ?? 0)
      .reduce((sum, count) => sum + count, 0);
  }

  /** Where the group and the partitions are, at most LAG_CACHE_MS old. */
  #positions(): Promise<Position[]> {
    const now = performance.now();
    if (this.#read === null || now - this.#read.atMs > LAG_CACHE_MS) {
      const positions = readPositions(this.#deps);
      positions.catch(() => (this.#read = null));
      this.#read = { atMs: now, positions };
    }
    return this.#read.positions;
  }

  /**
   * After a rebalance, what the group has committed tells whether retention overtook it: kafkajs
   * goes on at the oldest message then, and commits -2 for it (ConsumerGroup.setDefaultOffset).
   * That is waited for, so that it does not come after the commit that follows a loss.
   */
  async #checkLost(): Promise<void> {
    const owned = this.#owned;
    const resetByMs = performance.now() + RESET_MS_MAX;
    while (owned === this.#owned) {
      this.#read = null;
      try {
        const mine = (await this.#positions()).filter((at) => owned.has(keyOf(at)));
        if (owned !== this.#owned) return;
        this.#begin(mine);
        await this.#checkMarks(mine);
        if (owned !== this.#owned) return;
        const lost = mine.filter((at) => Math.max(at.saved, 0) < at.low);
        if (lost.length === 0) return;
        if (lost.every(({ saved }) => saved < 0) || performance.now() > resetByMs) {
          return this.#deps.handlers.onLost(lost.map(beginOf));
        }
      } catch (error) {
        this.#deps.logger.debug({ err: error }, 'the offsets of the group could not be read');
      }
      await sleep(CHECK_RETRY_MS, undefined, { ref: false });
    }
  }

  /** A partition that nothing was committed of gets the mark at its beginning, so that it has one. */
  async #checkMarks(mine: readonly Position[]): Promise<void> {
    const { handlers, mark } = this.#deps;
    if (this.#isMarked) return;
    const fresh = mine.filter(isFresh);
    if (fresh.length > 0) await this.#save(fresh.map(beginOf));
    const other = mine.filter((at) => at.saved >= at.low && at.mark !== mark);
    this.#isMarked = true;
    if (other.length > 0) handlers.onOtherMark(other.map(savedOf));
  }

  #begin(positions: readonly Position[]): void {
    for (const at of positions) {
      const key = keyOf(at);
      if (!this.#next.has(key)) this.#next.set(key, Math.max(at.saved, at.low));
    }
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
  async #follows(batch: EachBatchPayload['batch'], generation: number): Promise<boolean> {
    const { topic, partition } = batch;
    const key = keyOf(batch);
    const expected = this.#next.get(key);
    const asked = askedOffset(batch);
    if (expected !== undefined && Math.max(asked, Number(batch.firstOffset())) > expected) {
      this.#read = null;
      const at = (await this.#positions()).find((one) => keyOf(one) === key);
      if (generation !== this.#generation) return false;
      if (at !== undefined && at.low > expected) this.#deps.handlers.onLost([beginOf(at)]);
      else if (asked > expected && this.#isToGoBack(key)) {
        this.#consumer.seek({ topic, partition, offset: String(expected) });
        return false;
      }
    }
    this.#sentBack.delete(key);
    this.#next.set(key, Number(batch.lastOffset()) + 1);
    return true;
  }

  #isToGoBack(key: string): boolean {
    const times = (this.#sentBack.get(key) ?? 0) + 1;
    this.#sentBack.set(key, times);
    return times <= SENT_BACK_MAX;
  }

  #voided(): void {
    if (this.#isVoid) return;
    this.#isVoid = true;
    this.#deps.handlers.onRebalancing();
  }

  /**
   * Takes a batch in; heartbeats go on while there is no room for it. kafkajs hands over all batches
   * of a fetch before it joins the group again, so after the first that learns of a rebalance the
   * others pass at once: each waiting for room would keep the whole group waiting.
   */
  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    if (this.#isVoid || payload.isStale() || !payload.isRunning()) return;
    const { batch } = payload;
    const key = keyOf(batch);
    if (!this.#owned.has(key)) return;
    const generation = this.#generation;
    const isOver = (): boolean => generation !== this.#generation || !payload.isRunning();
    try {
      await beating(this.#begun.promise, payload);
      if (isOver() || this.#isVoid) return;
      const follows = this.#follows(batch, generation);
      await beating(follows, payload);
      if (isOver() || !(await follows)) return;
      await beating(this.#handOver(key, payload), payload);
      // What a new assignment has made void is to be fetched again.
      if (isOver()) return;
      payload.resolveOffset(batch.lastOffset());
      this.#cutShort.delete(key);
      await payload.heartbeat();
    } catch (error) {
      if (REJOIN.test((error as { type?: string }).type ?? '')) this.#voided();
      throw error;
    }
  }

  /**
   * Gives the messages to the handler, but those only once that it was given before the connection
   * broke, when kafkajs fetches the batch again without a rebalance.
   */
  #handOver(key: string, payload: EachBatchPayload): Promise<void> {
    const before = this.#cutShort.get(key);
    const messages = receivedMessages(payload).filter(
      ({ offset }) => offset >= (before?.upto ?? 0),
    );
    const last = messages.at(-1);
    if (last === undefined) return before?.taken ?? Promise.resolve();
    const handed = this.#deps.handlers.onMessages(messages);
    const taken = Promise.all([before?.taken, handed]).then(() => undefined);
    this.#cutShort.set(key, { upto: last.offset + 1, taken });
    return taken;
  }
}

/**
 * How long nothing was heard, by the clock that counts longer: one stands still while a virtual
 * machine is suspended, the other jumps when it is set.
 */
class HeardClock {
  #atMs = Number.NEGATIVE_INFINITY;
  #atEpochMs = Number.NEGATIVE_INFINITY;

  get silentMs(): number {
    return Math.max(performance.now() - this.#atMs, Date.now() - this.#atEpochMs);
  }

  heard(): void {
    this.#atMs = performance.now();
    this.#atEpochMs = Date.now();
  }
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** The offset that a batch was asked for with; kafkajs has it, its types don't (consumer/batch.js). */
function askedOffset(batch: EachBatchPayload['batch']): number {
  return Number((batch as unknown as { fetchedOffset: string }).fetchedOffset);
}

/** Waits for the work, or until the consumer stops. @throws what the work or a heartbeat throws. */
async function beating(work: Promise<unknown>, payload: EachBatchPayload): Promise<void> {
  while (!(await endsWithin(work, HEARTBEAT_MS / 2)) && payload.isRunning()) {
    await payload.heartbeat();
  }
}

/** Whether the work is done after at most `ms`. @throws what the work throws. */
async function endsWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const over = new AbortController();
  try {
    const tooLate = sleep(ms, false, { signal: over.signal }).catch(() => false);
    return await Promise.race([work.then(() => true), tooLate]);
  } finally {
    over.abort();
  }
}
