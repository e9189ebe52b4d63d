import type { Clock, Timer } from '../../model/clock.ts';
import { coAssign } from '../co-assign.ts';
import { NOTHING_SAVED, type Position } from '../group-position.ts';
import { keyOf } from '../key-of.ts';
import type { TopicOffset, TopicPartition } from '../port.ts';
import type { PartitionLog } from './partition-log.ts';

/** As the members in Kafka ask for them (kafka/consumer.ts). */
export const SESSION_MS = 10_000;
const REBALANCE_MS = 15_000;

/** A position with the log that it is of. */
export interface LogPosition extends Position {
  log: PartitionLog;
}

/** An offset of the log that was read. */
export interface LogOffset extends TopicOffset {
  log: PartitionLog;
}

/** What a member may read from this generation of the group on. */
export interface Joined {
  generation: number;
  partitions: TopicPartition[];
  /** All partitions of its topics. */
  partitionsInAll: number;
}

interface Member {
  client: string;
  topics: readonly string[];
  /** It has joined the generation that is to come, and waits for the others. */
  joining: PromiseWithResolvers<Joined> | null;
  session: Timer | null;
}

export interface GroupDeps {
  groupId: string;
  clock: Clock;
  /** The partitions that a topic has now. */
  logsOf: (topic: string) => readonly PartitionLog[];
  tell: (event: string) => void;
}

/**
 * A group as Kafka's coordinator keeps it. A rebalance begins when a member joins, leaves or is not
 * heard of for SESSION_MS; members learn of it by their heartbeats and join again; who has not done
 * so in REBALANCE_MS is a member no more. Commits count that come from a member of the generation.
 */
export class MemoryGroup {
  readonly #deps: GroupDeps;
  readonly #members = new Map<string, Member>();
  readonly #saved = new Map<string, { offset: number; mark: string; log: PartitionLog }>();
  #generation = 0;
  /** Runs while the members join again. */
  #rebalance: Timer | null = null;

  constructor(deps: GroupDeps) {
    this.#deps = deps;
  }

  /** Resolves when all members have joined. */
  join(memberId: string, client: string, topics: readonly string[]): Promise<Joined> {
    const before = this.#members.get(memberId);
    before?.session?.cancel();
    const joining = before?.joining ?? Promise.withResolvers<Joined>();
    this.#members.set(memberId, { client, topics, joining, session: null });
    this.rebalance();
    this.#completeIfAll();
    return joining.promise;
  }

  /** What a member is told that has been heard of. */
  heartbeat(memberId: string, generation: number): 'stable' | 'rebalancing' | 'unknown' {
    const member = this.#members.get(memberId);
    if (member === undefined) return 'unknown';
    this.#heard(memberId, member);
    return this.#rebalance === null && generation === this.#generation ? 'stable' : 'rebalancing';
  }

  leave(memberId: string): void {
    this.#drop(memberId, 'has left');
  }

  /** Ends the sessions of a client's members, as if they had not been heard of. */
  endSessions(client: string): void {
    this.#dropAll((member) => member.client === client, 'is not heard of');
  }

  /** Makes the members join again. */
  rebalance(): void {
    if (this.#members.size === 0) return;
    this.#rebalance ??= this.#deps.clock.timer(REBALANCE_MS, () =>
      this.#dropAll(({ joining }) => joining === null, 'has not joined again'),
    );
  }

  /** Whether it was saved: what another generation's member, or none, commits is not. */
  commit(
    memberId: string,
    generation: number,
    offsets: readonly LogOffset[],
    mark: string,
  ): boolean {
    const member = this.#members.get(memberId);
    if (member === undefined || generation !== this.#generation) return false;
    this.#heard(memberId, member);
    for (const { log, offset } of offsets) {
      // What was read of a topic before it was made anew says nothing of this one.
      if (this.#isThere(log)) this.#saved.set(keyOf(log), { offset, mark, log });
    }
    return true;
  }

  positions(topics: readonly string[]): LogPosition[] {
    return topics.flatMap((topic) =>
      this.#deps.logsOf(topic).map((log) => {
        const saved = this.#saved.get(keyOf(log));
        const isOf = saved?.log === log;
        return {
          topic,
          partition: log.partition,
          saved: isOf ? saved.offset : NOTHING_SAVED,
          mark: isOf ? saved.mark : '',
          low: log.begin,
          high: log.end,
          log,
        };
      }),
    );
  }

  #isThere(log: PartitionLog): boolean {
    return this.#deps.logsOf(log.topic)[log.partition] === log;
  }

  #heard(memberId: string, member: Member): void {
    member.session?.cancel();
    // Who waits for the others has nothing to say meanwhile.
    member.session =
      member.joining === null
        ? this.#deps.clock.timer(SESSION_MS, () => this.#drop(memberId, 'is not heard of'))
        : null;
  }

  #dropAll(isDropped: (member: Member) => boolean, why: string): void {
    // Those that are meant now: once the last of them is gone, the others begin a generation.
    const dropped = [...this.#members].filter(([, member]) => isDropped(member));
    for (const [memberId] of dropped) this.#drop(memberId, why);
  }

  #drop(memberId: string, why: string): void {
    const member = this.#members.get(memberId);
    if (member === undefined) return;
    member.session?.cancel();
    this.#members.delete(memberId);
    this.#deps.tell(`group ${this.#deps.groupId}: ${memberId} ${why}`);
    this.rebalance();
    this.#completeIfAll();
  }

  #completeIfAll(): void {
    if ([...this.#members.values()].some(({ joining }) => joining === null)) return;
    this.#rebalance?.cancel();
    this.#rebalance = null;
    this.#generation += 1;
    const { groupId, logsOf, tell } = this.#deps;
    const partitionsOf = (topic: string): number[] => logsOf(topic).map((log) => log.partition);
    const topics = new Set([...this.#members.values()].flatMap((member) => member.topics));
    const subscribers = [...this.#members].map(([memberId, { topics: own }]) => {
      return { memberId, topics: own };
    });
    const partitions = new Map([...topics].map((topic) => [topic, partitionsOf(topic)]));
    const assignment = coAssign(subscribers, partitions);
    for (const [memberId, member] of this.#members) {
      const mine = Object.entries(assignment.get(memberId) ?? {}).flatMap(([topic, own]) =>
        own.map((partition) => ({ topic, partition })),
      );
      const partitionsInAll = member.topics.flatMap(partitionsOf).length;
      const { joining } = member;
      member.joining = null;
      this.#heard(memberId, member);
      tell(`group ${groupId}: ${memberId} has ${mine.length} partitions`);
      joining?.resolve({ generation: this.#generation, partitions: mine, partitionsInAll });
    }
  }
}
