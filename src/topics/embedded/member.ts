import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../model/clock.ts';
import type { Outages } from '../../observe/outages.ts';
import type { GroupMember, MemberHandlers, TopicOffset, Wait } from '../port.ts';
import type { EmbeddedLog } from './log.ts';
import { explained, troubleOf } from './sqlite-error.ts';

const BATCH_MESSAGES = 500;
/** To the end of a partition, wherever that is. */
const END = Number.MAX_SAFE_INTEGER;
/** How soon messages of another process are noticed. */
const POLL_MS = 50;
const RETRY_MS = 250;

export interface MemberDeps {
  log: EmbeddedLog;
  /** For messages. */
  file: string;
  groupId: string;
  topics: readonly string[];
  handlers: MemberHandlers;
  /** Kept beside every offset that is committed. */
  mark: string;
  /** Resolves at the next append of this process, or after the time. */
  nextAppend: (timeoutMs: number) => Promise<void>;
  clock: Clock;
  outages: Outages;
  lock: Disposable;
}

/** The one member of a group on the embedded topics: it has all the partitions, always. */
export class EmbeddedMember implements GroupMember {
  /** What is lost is told before the messages that follow it. */
  readonly settled = Promise.resolve();
  readonly #deps: MemberDeps;
  readonly #failed = Promise.withResolvers<never>();
  #positions: TopicOffset[] = [];
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(deps: MemberDeps) {
    this.#deps = deps;
    this.#failed.promise.catch(() => undefined);
  }

  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** The operating system gives the group's lock to nobody else while this process lives. */
  get isCurrent(): boolean {
    return true;
  }

  /** A file makes nobody wait. */
  get waits(): readonly Wait[] {
    return [];
  }

  start(): void {
    const { log, groupId, topics, handlers, mark } = this.#deps;
    this.#positions = log.groupOffsets(groupId, topics);
    const { fresh, other } = log.marks(groupId, topics, mark);
    log.commit(groupId, fresh, mark);
    handlers.onAssigned({ partitions: this.#positions, share: 1 });
    const lost = log.lost(groupId, topics);
    if (lost.length > 0) handlers.onLost(lost);
    if (other.length > 0) handlers.onOtherMark(other);
    this.#loop = this.#run().catch((error: unknown) =>
      this.#failed.reject(explained(this.#deps.file, error)),
    );
  }

  async commit(offsets: readonly TopicOffset[]): Promise<void> {
    for (;;) {
      try {
        return this.#deps.log.commit(this.#deps.groupId, offsets, this.#deps.mark);
      } catch (error) {
        if (troubleOf(error) !== 'busy') throw error;
        await this.#deps.clock.sleep(10);
      }
    }
  }

  lag(): Promise<ReadonlyMap<string, number>> {
    const { log, groupId, topics } = this.#deps;
    const ends = log.bounds(topics);
    const offsets = log.groupOffsets(groupId, topics);
    const lag = new Map<string, number>(topics.map((topic) => [topic, 0]));
    for (const { topic, partition, end } of ends) {
      const at = offsets.find((one) => one.topic === topic && one.partition === partition);
      lag.set(topic, (lag.get(topic) ?? 0) + Math.max(0, end - (at?.offset ?? 0)));
    }
    return Promise.resolve(lag);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    // A handler that never lets more in (the reconciler has stopped) must not hold this up.
    await Promise.race([this.#loop, this.#deps.clock.sleep(500)]);
    this.#deps.lock[Symbol.dispose]();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const found = await this.#readOnce();
      if (!found && !this.#stopped) await this.#deps.nextAppend(POLL_MS);
    }
  }

  async #readOnce(): Promise<boolean> {
    const { log, handlers } = this.#deps;
    let found = false;
    for (const position of await this.#read(() => log.unread(this.#positions))) {
      if (this.#stopped) return found;
      const messages = await this.#read(() => log.slice(position, END, BATCH_MESSAGES));
      const [first] = messages;
      const last = messages.at(-1);
      if (first === undefined || last === undefined) continue;
      found = true;
      // Offsets have no gaps but where old messages were dropped.
      if (first.offset > position.offset) {
        handlers.onLost([{ ...position, offset: first.offset }]);
      }
      const next = { ...position, offset: last.offset + 1 };
      this.#positions = this.#positions.map((at) => (at === position ? next : at));
      await handlers.onMessages(messages);
      // Everything here is synchronous: without a turn, a long backlog holds up timers and sockets.
      await turn();
    }
    return found;
  }

  /** Waits, and says so, while the file cannot be read; nothing once the member has stopped. */
  async #read<T>(body: () => T[]): Promise<T[]> {
    const { file, clock, outages } = this.#deps;
    for (;;) {
      try {
        const read = body();
        outages.set('topics file', 'reading', null);
        return read;
      } catch (error) {
        if (troubleOf(error) === 'broken' || troubleOf(error) === 'other') throw error;
        const { message } = error as Error;
        outages.set(
          'topics file',
          'reading',
          `the topics file ${file} cannot be read (${message}); delivery waits and tries again`,
        );
        await clock.sleep(RETRY_MS);
        if (this.#stopped) return [];
      }
    }
  }
}
