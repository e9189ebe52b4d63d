import {
  LOST_MARK,
  beginOf,
  isFresh,
  isKnownGroup,
  isLost,
  lagOf,
  savedOf,
} from '../group-position.ts';
import { keyOf } from '../key-of.ts';
import type { GroupMember, MemberHandlers, TopicOffset, Wait } from '../port.ts';
import type { Fetched, MemoryBroker } from './broker.ts';
import type { Connection } from './connection.ts';
import { type Joined, type LogOffset, type LogPosition, SESSION_MS } from './group.ts';
import type { PartitionLog } from './partition-log.ts';

const HEARTBEAT_MS = 1_000;
/** Heard of longer ago than this, the group may have given our partitions to another member. */
const CURRENT_MS = SESSION_MS - 2 * HEARTBEAT_MS;
const RETRY_MS = 250;
const TRIES_MAX = 10;

export interface MemoryMemberDeps {
  broker: MemoryBroker;
  connection: Connection;
  groupId: string;
  topics: readonly string[];
  handlers: MemberHandlers;
  /** Kept beside every offset that is committed. */
  mark: string;
}

/** What holds from one assignment to the next: a generation of the group. */
interface Generation {
  id: number;
  /** Also while the group is rebalancing: what is finished by then may still be committed. */
  owned: ReadonlySet<string>;
  /** By partition, the log and the offset to go on from; empty until the positions are known. */
  reading: Map<string, { log: PartitionLog; next: number }>;
  /** Whether messages were lost before it: commits wait for the answer. */
  checking: Promise<void>;
}

/** A member of a group in memory; it does what KafkaMember does, by the same decisions. */
export class MemoryMember implements GroupMember {
  /** Nothing makes it wait but the broker, which is never judged by its silence. */
  readonly waits: readonly Wait[] = [];
  readonly #deps: MemoryMemberDeps;
  readonly #ending = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  #memberId: string;
  #generation: Generation | null = null;
  /** A heartbeat has told of a rebalance: what was fetched before is not handed over any more. */
  #isVoid = false;
  /** The group had offsets once: one without any is no new group. */
  #wasKnown = false;
  #heardMs = Number.NEGATIVE_INFINITY;

  constructor(deps: MemoryMemberDeps) {
    this.#deps = deps;
    this.#failed.promise.catch(() => undefined);
    this.#memberId = this.#newId();
  }

  /** Rejects with what a handler throws: nothing else befalls a member that it can not go on after. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  get settled(): Promise<void> {
    return this.#generation?.checking ?? Promise.resolve();
  }

  get isCurrent(): boolean {
    return this.#deps.connection.clock.now() - this.#heardMs < CURRENT_MS;
  }

  /** Resolves at the first assignment. @throws UnavailableError when the broker gives no answer. */
  async start(): Promise<void> {
    const { broker, connection, topics } = this.#deps;
    const { signal } = this.#ending;
    while (topics.some((topic) => broker.logsOf(topic).length === 0)) {
      await connection.sleep(RETRY_MS, signal);
    }
    const join = async (): Promise<Joined> => this.#join();
    const joined = await connection.ask({ kind: 'join' }, join, { triesMax: TRIES_MAX, signal });
    this.#assigned(joined);
    this.#beat().catch(() => undefined);
  }

  async commit(offsets: readonly TopicOffset[]): Promise<void> {
    const generation = this.#generation;
    const owned = offsets.filter((at) => generation?.owned.has(keyOf(at)));
    if (generation === null || owned.length === 0) return;
    await generation.checking;
    // They are of the assignment before: the next one found its own way.
    if (generation !== this.#generation) return;
    const read = owned.flatMap((at) => {
      const log = generation.reading.get(keyOf(at))?.log;
      return log === undefined ? [] : [{ ...at, log }];
    });
    await this.#save(generation, read, this.#deps.mark);
  }

  async lag(): Promise<ReadonlyMap<string, number>> {
    const { connection, topics } = this.#deps;
    const limits = { triesMax: TRIES_MAX, signal: this.#ending.signal };
    const positions = await connection.ask({ kind: 'positions' }, () => this.#positions(), limits);
    return lagOf(topics, positions);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { broker, connection, groupId } = this.#deps;
    this.#generation = null;
    this.#ending.abort();
    // Where that does not arrive, the group waits until the session is over.
    await connection
      .request({ kind: 'leave' }, () => broker.group(groupId).leave(this.#memberId))
      .catch(() => undefined);
  }

  #newId(): string {
    const { broker, connection } = this.#deps;
    const drawn = Math.floor(broker.random() * 2 ** 32);
    return `${connection.client}-${drawn.toString(16).padStart(8, '0')}`;
  }

  #join(): Promise<Joined> {
    const { broker, connection, groupId, topics } = this.#deps;
    return broker.group(groupId).join(this.#memberId, connection.client, topics);
  }

  /** Until the member is left, or its process dies. */
  async #beat(): Promise<void> {
    const { broker, connection, groupId } = this.#deps;
    const { signal } = this.#ending;
    for (;;) {
      await connection.sleep(HEARTBEAT_MS, signal);
      const id = this.#generation?.id ?? 0;
      const heartbeat = () => broker.group(groupId).heartbeat(this.#memberId, id);
      const answer = await connection
        .request({ kind: 'heartbeat' }, heartbeat, signal)
        .catch(() => null);
      if (signal.aborted) return;
      if (answer === null) continue;
      this.#heard();
      if (answer === 'stable') continue;
      if (answer === 'unknown') this.#memberId = this.#newId();
      await this.#rejoin();
    }
  }

  async #rejoin(): Promise<void> {
    const { connection, handlers } = this.#deps;
    const { signal } = this.#ending;
    this.#isVoid = true;
    handlers.onRebalancing();
    for (;;) {
      const join = async (): Promise<Joined> => this.#join();
      const joined = await connection.request({ kind: 'join' }, join, signal).catch(() => null);
      signal.throwIfAborted();
      if (joined !== null) return this.#assigned(joined);
      await connection.sleep(RETRY_MS, signal);
    }
  }

  #heard(): void {
    this.#heardMs = this.#deps.connection.clock.now();
  }

  #assigned({ generation: id, partitions, partitionsInAll }: Joined): void {
    this.#heard();
    this.#isVoid = false;
    const checked = Promise.withResolvers<void>();
    const owned = new Set(partitions.map(keyOf));
    const generation: Generation = { id, owned, reading: new Map(), checking: checked.promise };
    this.#generation = generation;
    this.#deps.handlers.onAssigned({
      partitions,
      share: partitions.length / Math.max(1, partitionsInAll),
    });
    this.#run(generation, checked.resolve).catch(this.#failed.reject);
  }

  /** Checks what was lost, then reads. Ends without an error when the generation is over. @throws what a handler throws. */
  async #run(generation: Generation, checked: () => void): Promise<void> {
    while (this.#isOn(generation)) {
      try {
        await this.#check(generation);
        break;
      } catch {
        await this.#pause();
      }
    }
    checked();
    while (this.#isReading(generation)) {
      const { broker, connection } = this.#deps;
      const fetched = await connection
        .request({ kind: 'fetch' }, () => broker.fetch(generation.reading), this.#ending.signal)
        .catch(() => null);
      if (fetched === null) await this.#pause();
      for (const part of fetched ?? [])
        if (this.#isReading(generation)) await this.#take(generation, part);
    }
  }

  async #pause(): Promise<void> {
    await this.#deps.connection.sleep(RETRY_MS, this.#ending.signal).catch(() => undefined);
  }

  /** Its assignment is the newest. */
  #isOn(generation: Generation): boolean {
    return generation === this.#generation && !this.#deps.connection.isDead;
  }

  /** Its assignment is the newest, and no other is to come as far as is known. */
  #isReading(generation: Generation): boolean {
    return this.#isOn(generation) && !this.#isVoid;
  }

  #positions(): LogPosition[] {
    const { broker, groupId, topics } = this.#deps;
    return broker.group(groupId).positions(topics);
  }

  /**
   * What the group has committed tells whether messages went before it read them. All of a new
   * group's partitions that lost nothing yet get an offset: what has none later lost its topic.
   */
  async #check(generation: Generation): Promise<void> {
    const { connection, handlers, mark } = this.#deps;
    const { signal } = this.#ending;
    const all = await connection.request({ kind: 'positions' }, () => this.#positions(), signal);
    if (!this.#isOn(generation)) return;
    const isKnown = (this.#wasKnown ||= isKnownGroup(all));
    if (!isKnown) {
      const fresh = all.filter(isFresh).map((at) => ({ ...beginOf(at), log: at.log }));
      await this.#save(generation, fresh, mark);
      if (!this.#isOn(generation)) return;
    }
    const mine = all.filter((at) => generation.owned.has(keyOf(at)));
    const lost = mine.filter((at) => isLost(at, isKnown));
    for (const at of mine) {
      const next = lost.includes(at) ? at.low : Math.max(at.saved, at.low);
      generation.reading.set(keyOf(at), { log: at.log, next });
    }
    if (lost.length > 0) handlers.onLost(lost.map(beginOf));
    const other = mine.filter((at) => !lost.includes(at) && at.saved >= 0 && at.mark !== mark);
    if (other.length > 0) handlers.onOtherMark(other.map(savedOf));
  }

  async #take(generation: Generation, { key, log, lostUpto, messages }: Fetched): Promise<void> {
    const reading = generation.reading.get(key);
    if (reading === undefined) return;
    if (lostUpto !== null) {
      const isOther = log !== reading.log;
      const begin = { topic: log.topic, partition: log.partition, offset: lostUpto };
      Object.assign(reading, { log, next: lostUpto });
      this.#deps.handlers.onLost([begin]);
      if (isOther) await this.#owe(generation, { ...begin, log });
      return;
    }
    const news = messages.filter(({ offset }) => offset >= reading.next);
    const last = news.at(-1);
    if (last === undefined) return;
    reading.next = last.offset + 1;
    await this.#deps.handlers.onMessages(news);
  }

  /** Offsets tell no more of a topic that was made anew; by the mark, whoever has it next finds it. */
  async #owe(generation: Generation, begin: LogOffset): Promise<void> {
    while (this.#isOn(generation)) {
      try {
        return await this.#save(generation, [begin], LOST_MARK);
      } catch {
        await this.#pause();
      }
    }
  }

  async #save({ id }: Generation, offsets: readonly LogOffset[], mark: string): Promise<void> {
    if (offsets.length === 0) return;
    const { broker, connection, groupId } = this.#deps;
    const memberId = this.#memberId;
    // Refused as stale: their offsets are those of whoever has the partitions by now.
    await connection.request(
      { kind: 'commit' },
      () => broker.group(groupId).commit(memberId, id, offsets, mark),
      this.#ending.signal,
    );
  }
}
