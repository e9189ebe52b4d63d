import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker, Cluster, Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import type { TopicOffset } from '../port.ts';
import { coAssigner } from './co-assigner.ts';
import { whenLed } from './leaders.ts';
import { followCoordinator } from './wire/group-coordinator.ts';
import { readFetches } from './wire/group-fetch.ts';
import type { Inside } from './wire/inside.ts';

export const SESSION_MS = 10_000;
export const HEARTBEAT_MS = 1_000;
const REBALANCE_MS = 15_000;
/** The longest wait of a fetch: a rebalance is noticed that soon when nothing comes. */
const FETCH_WAIT_MS = 500;
/** A partition that was added, or has another leader, is read after so long at most. */
const METADATA_MS_MAX = 10_000;
const LEAVE_MS_MAX = 2_000;

export interface ConsumerEvents {
  onHeartbeat(): void;
  onRebalancing(): void;
  onJoined(assignment: Readonly<Record<string, number[]>>): void;
  /** `canGoOn`: it joins the group again by itself. */
  onCrash(error: Error, canGoOn: boolean): void;
  onBatch(payload: EachBatchPayload): Promise<void>;
  /** Records up to this offset were fetched and are done with, also those that nobody is shown. */
  onPassed(topic: string, partition: number, lastOffset: number): void;
  /** A broker was asked for messages (true), or has answered. */
  onFetch(node: number, isAsked: boolean): void;
}

export interface ConsumerDeps {
  kafka: Kafka;
  inside: Inside;
  groupId: string;
  topics: readonly string[];
  events: ConsumerEvents;
}

/** The member of a group as its coordinator knows it. */
export type MemberId = string | null;

/** kafkajs' broker can do this; its types don't say so (broker/index.js). */
type Leaving = Broker & {
  leaveGroup(member: { groupId: string; memberId: string }): Promise<unknown>;
};

/** One consumer of kafkajs, from its start until it is left; it is not started again. */
export class GroupConsumer {
  readonly #deps: ConsumerDeps;
  readonly #consumer: Consumer;
  /** kafkajs' own view of the topics, as fresh as the assignment. */
  #cluster: Cluster | null = null;
  readonly #over = Promise.withResolvers<void>();
  #isOver = false;
  #memberId: MemberId = null;

  constructor(deps: ConsumerDeps) {
    this.#deps = deps;
    this.#consumer = deps.kafka.consumer({
      groupId: deps.groupId,
      partitionAssigners: [
        (config) => {
          if (this.#cluster !== config.cluster) {
            readFetches(config.cluster, deps.inside);
            followCoordinator(config.cluster, deps.inside);
          }
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
        restartOnFailure: () => Promise.resolve(!this.#isOver),
      },
    });
  }

  get memberId(): MemberId {
    return this.#memberId;
  }

  /** Of all the topics together, as the brokers said last. */
  get partitionsInAll(): number {
    return this.#deps.topics
      .map((topic) => this.#cluster?.findTopicPartitionMetadata(topic).length ?? 0)
      .reduce((sum, count) => sum + count, 0);
  }

  /**
   * Joins the group, in place of the member that went before.
   * @throws what kafkajs throws when it can't connect.
   */
  async start(before: MemberId): Promise<void> {
    const consumer = this.#consumer;
    const { topics, events } = this.#deps;
    const { HEARTBEAT, REBALANCING, GROUP_JOIN, CRASH, FETCH_START, FETCH, END_BATCH_PROCESS } =
      consumer.events;
    const unlessOver =
      <T>(tell: (payload: T) => void) =>
      ({ payload }: { payload: T }): void => {
        if (!this.#isOver) tell(payload);
      };
    consumer.on(
      HEARTBEAT,
      unlessOver(() => events.onHeartbeat()),
    );
    consumer.on(
      REBALANCING,
      unlessOver(() => events.onRebalancing()),
    );
    consumer.on(
      GROUP_JOIN,
      unlessOver(({ memberId, memberAssignment }) => {
        this.#memberId = memberId;
        events.onJoined(memberAssignment);
      }),
    );
    consumer.on(
      CRASH,
      unlessOver(({ error, restart }) => events.onCrash(error, restart)),
    );
    consumer.on(
      FETCH_START,
      unlessOver(({ nodeId }) => events.onFetch(nodeId, true)),
    );
    consumer.on(
      FETCH,
      unlessOver(({ nodeId }) => events.onFetch(nodeId, false)),
    );
    consumer.on(
      END_BATCH_PROCESS,
      unlessOver(({ topic, partition, lastOffset }) =>
        events.onPassed(topic, partition, Number(lastOffset)),
      ),
    );
    await consumer.connect();
    if (before !== null) await this.#leaveAs(before);
    await whenLed(() => consumer.subscribe({ topics: [...topics], fromBeginning: true }));
    if (this.#isOver) return;
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async (payload) => {
        if (!this.#isOver) await events.onBatch(payload);
      },
    });
  }

  /** Ends without an answer when the consumer is left meanwhile. */
  async commit(offsets: readonly TopicOffset[], metadata: string): Promise<void> {
    const commits = offsets.map(({ topic, partition, offset }) => ({
      topic,
      partition,
      offset: String(offset),
      metadata,
    }));
    if (this.#isOver) return;
    await Promise.race([this.#consumer.commitOffsets(commits), this.#over.promise]);
  }

  seek({ topic, partition, offset }: TopicOffset): void {
    this.#consumer.seek({ topic, partition, offset: String(offset) });
  }

  /** From now on it tells nothing more. Resolves when kafkajs has left the group and ended. */
  async leave(): Promise<void> {
    this.#isOver = true;
    this.#over.resolve();
    await this.#consumer.disconnect().catch(() => undefined);
  }

  /** Otherwise the group would wait for it until its session is over. Not more than is worth it. */
  async #leaveAs(memberId: string): Promise<void> {
    const { groupId } = this.#deps;
    const leaving = this.#cluster
      ?.findGroupCoordinator({ groupId })
      .then((broker) => (broker as Leaving).leaveGroup({ groupId, memberId }))
      .catch(() => undefined);
    await Promise.race([leaving, sleep(LEAVE_MS_MAX, undefined, { ref: false })]);
  }
}
