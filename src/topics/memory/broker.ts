import type { Clock } from '../../model/clock.ts';
import type { PartitionQueue } from '../batch/partition-queue.ts';
import { keyOf } from '../key-of.ts';
import type { TopicPartition } from '../port.ts';
import { type MemoryFaults, randomFaults } from './faults.ts';
import { MemoryGroup } from './group.ts';
import { LetterBox } from './letter-box.ts';
import { PartitionLog } from './partition-log.ts';

export interface MemoryBrokerOptions {
  /** The broker's, and the network's. */
  clock: Clock;
  /** From 0 up to 1. */
  random: () => number;
  /** Default: nothing goes wrong. */
  faults?: MemoryFaults;
  /** Told of what happens here, a line each. */
  tell?: (event: string) => void;
}

/** What the broker has of a partition for a fetch. */
export interface Fetched {
  /** What it was asked about (`keyOf`). */
  key: string;
  /** Another one than was read where the topic was made anew. */
  log: PartitionLog;
  /** Where the log begins, when what comes before was lost to the reader; null: nothing was. */
  lostUpto: number | null;
  messages: ReturnType<PartitionLog['slice']>;
}

const FETCH_MESSAGES = 500;

/**
 * All that topics in memory keep, and that outlives whoever uses them: logs, groups, checkpoints,
 * dead letters. What befalls a broker is done here; what befalls requests is in `faults`.
 */
export class MemoryBroker {
  readonly clock: Clock;
  readonly random: () => number;
  readonly tell: (event: string) => void;
  /** Counts from the next request on. */
  faults: MemoryFaults;
  /** By topic of checkpoints, and source. */
  readonly checkpoints = new Map<string, Map<string, string>>();
  readonly #topics = new Map<string, PartitionLog[]>();
  readonly #groups = new Map<string, MemoryGroup>();
  readonly #letters = new Map<string, LetterBox>();
  #waiting: (() => void)[] = [];

  constructor({ clock, random, faults, tell }: MemoryBrokerOptions) {
    this.clock = clock;
    this.random = random;
    this.faults = faults ?? randomFaults(random);
    this.tell = tell ?? (() => undefined);
  }

  /** A topic that is there is taken as it is. */
  ensureTopic(topic: string, partitions: number): void {
    if (!this.#topics.has(topic)) this.#topics.set(topic, this.#newLogs(topic, 0, partitions));
  }

  /** None of a topic that is not there. */
  logsOf(topic: string): readonly PartitionLog[] {
    return this.#topics.get(topic) ?? [];
  }

  group(groupId: string): MemoryGroup {
    const found = this.#groups.get(groupId);
    if (found !== undefined) return found;
    const { clock, tell } = this;
    const logsOf = (topic: string): readonly PartitionLog[] => this.logsOf(topic);
    const group = new MemoryGroup({ groupId, clock, logsOf, tell });
    this.#groups.set(groupId, group);
    return group;
  }

  letters(topic: string): LetterBox {
    const letters = this.#letters.get(topic) ?? new LetterBox();
    this.#letters.set(topic, letters);
    return letters;
  }

  /** Whether the first batch of a queue was written: a partition without a leader takes none. */
  append(queue: TopicPartition, batch: PartitionQueue['batches'][number]): boolean {
    const log = this.logsOf(queue.topic)[queue.partition];
    if (log?.hasLeader !== true) return false;
    log.append(batch);
    this.tell(`${keyOf(log)} ends at ${log.end}`);
    return true;
  }

  /**
   * What there is for a reader of these logs: messages from its offsets on, and what was lost to it.
   * Resolves when there is something.
   */
  async fetch(
    reading: ReadonlyMap<string, { log: PartitionLog; next: number }>,
  ): Promise<Fetched[]> {
    for (;;) {
      const found: Fetched[] = [];
      for (const [key, { log: before, next }] of reading) {
        const log = this.logsOf(before.topic)[before.partition];
        if (log?.hasLeader !== true) continue;
        const isLost = log !== before || next < log.begin || next > log.end;
        if (!isLost && next === log.end) continue;
        const lostUpto = isLost ? log.begin : null;
        const from = next - (isLost ? 0 : this.faults.repeats(log));
        const messages = isLost ? [] : log.slice(from, log.end, FETCH_MESSAGES);
        found.push({ key, log, lostUpto, messages });
      }
      if (found.length > 0) return shuffled(found, this.random);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Retention: messages older than that go. */
  dropOld(beforeMs: number): void {
    for (const log of this.#logs()) {
      const dropped = log.dropOld(beforeMs);
      if (dropped > 0) this.tell(`${keyOf(log)} begins at ${log.begin}`);
    }
  }

  /** The topic is deleted and made anew, empty; the groups' offsets in it go with it. */
  makeAnew(topic: string): void {
    this.tell(`${topic} is made anew`);
    this.#topics.set(topic, this.#newLogs(topic, 0, this.logsOf(topic).length));
    this.#changed();
  }

  addPartitions(topic: string, count: number): void {
    const before = this.logsOf(topic);
    this.tell(`${topic} has ${count} partitions`);
    this.#topics.set(topic, [...before, ...this.#newLogs(topic, before.length, count)]);
    for (const group of this.#groups.values()) group.rebalance();
  }

  /** For so long, nothing can be written to the partition, or read. */
  withoutLeader({ topic, partition }: TopicPartition, ms: number): void {
    const log = this.logsOf(topic)[partition];
    if (log?.hasLeader !== true) return;
    this.tell(`${keyOf(log)} has no leader`);
    log.hasLeader = false;
    this.clock.timer(ms, () => {
      log.hasLeader = true;
      this.tell(`${keyOf(log)} has a leader`);
    });
  }

  *#logs(): Iterable<PartitionLog> {
    for (const logs of this.#topics.values()) yield* logs;
  }

  #newLogs(topic: string, from: number, count: number): PartitionLog[] {
    return Array.from(
      { length: count - from },
      (_, i) => new PartitionLog({ topic, partition: from + i }, () => this.#changed()),
    );
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function shuffled<T>(list: T[], random: () => number): T[] {
  for (let at = list.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    const [a, b] = [list[at], list[other]];
    if (a !== undefined && b !== undefined) [list[at], list[other]] = [b, a];
  }
  return list;
}
