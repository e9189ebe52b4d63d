import { lagOf } from '../group-position.ts';
import type { GroupMember, MemberHandlers, TopicOffset, Wait } from '../port.ts';
import { Assigned, RETRY_MS } from './assigned.ts';
import type { MemoryBroker } from './broker.ts';
import type { Connection } from './connection.ts';
import { type Joined, SESSION_MS } from './group.ts';

const HEARTBEAT_MS = 1_000;
/** Heard of longer ago than this, the group may have given our partitions to another member. */
const CURRENT_MS = SESSION_MS - 2 * HEARTBEAT_MS;
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

/** A member of a group in memory; it does what KafkaMember does, by the same decisions. */
export class MemoryMember implements GroupMember {
  /** Nothing makes it wait but the broker, which is never judged by its silence. */
  readonly waits: readonly Wait[] = [];
  readonly #deps: MemoryMemberDeps;
  readonly #ending = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  #memberId: string;
  #generation = 0;
  #assigned: Assigned | null = null;
  #heardMs = Number.NEGATIVE_INFINITY;

  constructor(deps: MemoryMemberDeps) {
    this.#deps = deps;
    this.#failed.promise.catch(() => undefined);
    this.#memberId = this.#newId();
  }

  /** Rejects with what a handler throws: nothing else befalls a member that it cannot go on after. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  get settled(): Promise<void> {
    return this.#assigned?.settled ?? Promise.resolve();
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
    const join = (): Promise<Joined> => this.#join();
    this.#joined(await connection.ask({ kind: 'join' }, join, { triesMax: TRIES_MAX, signal }));
    this.#beat().catch(() => undefined);
  }

  async commit(offsets: readonly TopicOffset[]): Promise<void> {
    await this.#assigned?.commit(offsets);
  }

  async lag(): Promise<ReadonlyMap<string, number>> {
    const { broker, connection, groupId, topics } = this.#deps;
    const positions = await connection.ask(
      { kind: 'positions' },
      () => broker.group(groupId).positions(topics),
      { triesMax: TRIES_MAX, signal: this.#ending.signal },
    );
    return lagOf(topics, positions);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { broker, connection, groupId } = this.#deps;
    this.#assigned?.end();
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
      const heartbeat = () => broker.group(groupId).heartbeat(this.#memberId, this.#generation);
      const answer = await connection
        .request({ kind: 'heartbeat' }, heartbeat, signal)
        .catch(() => null);
      signal.throwIfAborted();
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
    this.#assigned?.void();
    handlers.onRebalancing();
    for (;;) {
      const join = (): Promise<Joined> => this.#join();
      const joined = await connection.request({ kind: 'join' }, join, signal).catch(() => null);
      signal.throwIfAborted();
      if (joined !== null) return this.#joined(joined);
      await connection.sleep(RETRY_MS, signal);
    }
  }

  #heard(): void {
    this.#heardMs = this.#deps.connection.clock.now();
  }

  #joined({ generation, partitions, partitionsInAll }: Joined): void {
    const { handlers } = this.#deps;
    this.#heard();
    this.#generation = generation;
    const wasKnown = this.#assigned?.wasKnown ?? false;
    const memberId = this.#memberId;
    this.#assigned?.end();
    const assigned = new Assigned({ ...this.#deps, memberId, generation, partitions, wasKnown });
    this.#assigned = assigned;
    handlers.onAssigned({ partitions, share: partitions.length / Math.max(1, partitionsInAll) });
    assigned.run().catch(this.#failed.reject);
  }
}
