import { LOST_MARK, beginOf, isFresh, isKnownGroup, isLost, savedOf } from '../group-position.ts';
import { keyOf } from '../key-of.ts';
import type { MemberHandlers, TopicOffset, TopicPartition } from '../port.ts';
import type { Fetched, MemoryBroker } from './broker.ts';
import type { Connection } from './connection.ts';
import type { LogOffset } from './group.ts';
import type { PartitionLog } from './partition-log.ts';

export const RETRY_MS = 250;

export interface AssignedDeps {
  broker: MemoryBroker;
  connection: Connection;
  groupId: string;
  topics: readonly string[];
  handlers: MemberHandlers;
  /** Kept beside every offset that is committed. */
  mark: string;
  memberId: string;
  /** Of the group. */
  generation: number;
  partitions: readonly TopicPartition[];
  /** The group had offsets once: one without any is no new group. */
  wasKnown: boolean;
}

/** The partitions of one assignment: what was lost of them, what is read of them and committed. */
export class Assigned {
  readonly #deps: AssignedDeps;
  readonly #owned: ReadonlySet<string>;
  /** By partition, the log and the offset to go on from; empty until the positions are known. */
  readonly #reading = new Map<string, { log: PartitionLog; next: number }>();
  readonly #over = new AbortController();
  readonly #settled = Promise.withResolvers<void>();
  #isVoid = false;
  #wasKnown: boolean;

  constructor(deps: AssignedDeps) {
    this.#deps = deps;
    this.#owned = new Set(deps.partitions.map(keyOf));
    this.#wasKnown = deps.wasKnown;
  }

  get wasKnown(): boolean {
    return this.#wasKnown;
  }

  /** Resolves once it is known what was lost before it, or it is over. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** There is another assignment, or the member has left. */
  end(): void {
    this.#over.abort();
  }

  /** Another assignment is to come: nothing is handed over any more, commits still count. */
  void(): void {
    this.#isVoid = true;
  }

  async commit(offsets: readonly TopicOffset[]): Promise<void> {
    const owned = offsets.filter((at) => this.#owned.has(keyOf(at)));
    if (owned.length === 0) return;
    await this.settled;
    // The next assignment found its own way.
    if (this.#isOver) return;
    const read = owned.flatMap((at) => {
      const log = this.#reading.get(keyOf(at))?.log;
      return log === undefined ? [] : [{ ...at, log }];
    });
    await this.#save(read, this.#deps.mark).catch((error: unknown) => {
      if (!this.#isOver) throw error;
    });
  }

  /** Reads until it is over. @throws what a handler throws. */
  async run(): Promise<void> {
    const { broker, connection } = this.#deps;
    while (!this.#isOver && !(await this.#check())) await this.#pause();
    this.#settled.resolve();
    while (!this.#isOver && !this.#isVoid) {
      const fetched = await connection
        .request({ kind: 'fetch' }, () => broker.fetch(this.#reading), this.#over.signal)
        .catch(() => null);
      if (fetched === null) await this.#pause();
      for (const part of fetched ?? []) {
        if (!this.#isOver && !this.#isVoid) await this.#take(part);
      }
    }
  }

  get #isOver(): boolean {
    return this.#over.signal.aborted || this.#deps.connection.isDead;
  }

  async #pause(): Promise<void> {
    await this.#deps.connection.sleep(RETRY_MS, this.#over.signal).catch(() => undefined);
  }

  /**
   * What the group has committed tells whether messages went before it read them. All of a new
   * group's partitions that lost nothing yet get an offset: what has none later lost its topic.
   * Whether the broker has answered.
   */
  async #check(): Promise<boolean> {
    const { broker, connection, groupId, topics, mark, handlers } = this.#deps;
    const ask = () => broker.group(groupId).positions(topics);
    const { signal } = this.#over;
    const all = await connection.request({ kind: 'positions' }, ask, signal).catch(() => null);
    if (all === null || this.#isOver) return false;
    const isKnown = (this.#wasKnown ||= isKnownGroup(all));
    if (!isKnown) {
      const fresh = all.filter(isFresh).map((at) => ({ ...beginOf(at), log: at.log }));
      if (!(await this.#isSaved(fresh, mark)) || this.#isOver) return false;
    }
    const mine = all.filter((at) => this.#owned.has(keyOf(at)));
    const lost = mine.filter((at) => isLost(at, isKnown));
    for (const at of mine) {
      const next = lost.includes(at) ? at.low : Math.max(at.saved, at.low);
      this.#reading.set(keyOf(at), { log: at.log, next });
    }
    if (lost.length > 0) handlers.onLost(lost.map(beginOf));
    const other = mine.filter((at) => !lost.includes(at) && at.saved >= 0 && at.mark !== mark);
    if (other.length > 0) handlers.onOtherMark(other.map(savedOf));
    return true;
  }

  async #take({ key, log, lostUpto, messages }: Fetched): Promise<void> {
    const reading = this.#reading.get(key);
    if (reading === undefined) return;
    if (lostUpto !== null) {
      const isMadeAnew = log !== reading.log;
      const begin = { topic: log.topic, partition: log.partition, offset: lostUpto };
      Object.assign(reading, { log, next: lostUpto });
      this.#deps.handlers.onLost([begin]);
      if (isMadeAnew) await this.#leaveWord({ ...begin, log });
      return;
    }
    const news = messages.filter(({ offset }) => offset >= reading.next);
    const last = news.at(-1);
    if (last === undefined) return;
    reading.next = last.offset + 1;
    await this.#deps.handlers.onMessages(news);
  }

  /** Offsets tell no more of a topic that was made anew; by the mark, whoever has it next finds it. */
  async #leaveWord(begin: LogOffset): Promise<void> {
    while (!this.#isOver && !(await this.#isSaved([begin], LOST_MARK))) await this.#pause();
  }

  async #isSaved(offsets: readonly LogOffset[], mark: string): Promise<boolean> {
    return await this.#save(offsets, mark).then(
      () => true,
      () => false,
    );
  }

  /** What is refused as stale is as good as saved: the offsets are another's by now. */
  async #save(offsets: readonly LogOffset[], mark: string): Promise<void> {
    if (offsets.length === 0) return;
    const { broker, connection, groupId, memberId, generation } = this.#deps;
    await connection.request(
      { kind: 'commit' },
      () => broker.group(groupId).commit(memberId, generation, offsets, mark),
      this.#over.signal,
    );
  }
}
