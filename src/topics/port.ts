/**
 * The topics as the rest of the program sees them: append-only logs with partitions, offsets and
 * timestamps, groups that remember how far they have read, and two small stores (checkpoints and
 * dead letters). `kafka/` and `embedded/` implement it, and `memory/` for tests and simulation; one
 * test suite runs on all.
 */

/** A message to append. Messages with one key keep their order. */
export interface OutgoingMessage {
  topic: string;
  /** User id in decimal. */
  key: string;
  /** JSON. */
  value: string;
  /** Commit time in epoch milliseconds. */
  timestampMs: number;
  headers: Readonly<Record<string, string>>;
}

/** A value that is written where it is wanted, so that no text is made of it. */
export interface ValueWriter {
  /** How many bytes `write` takes at most. */
  bytesMax(): number;
  /** Writes it in UTF-8 at `at`; returns where it ends. It may throw: then nothing was written. */
  write(target: Buffer, at: number): number;
}

/** Messages for one `publish`, encoded as they are pushed: nothing is kept of what was given. */
export interface OutgoingBatch {
  /** How many there are. */
  readonly count: number;
  /** What they take in memory, about. */
  readonly bytes: number;
  push(message: OutgoingMessage): void;
  /**
   * The same with a value that is written in place. `key`: a user id; `headers`: as `encodeHeaders`
   * makes them (topics/batch/headers.ts), copied.
   */
  pushWritten(
    topic: string,
    key: number | string,
    value: ValueWriter,
    timestampMs: number,
    headers: Uint8Array,
  ): void;
  /** What is there by now stays: `cut` goes no further back. */
  settle(): void;
  /** Takes off all but the first `count` messages, which it returns in a batch of their own. */
  cut(count: number): OutgoingBatch;
}

/**
 * A message as read. `offset` counts from 0 within its partition. Key, value and headers may be made
 * each time they are asked for, of bytes that it shares with others: what outlives the batch keeps
 * what it needs of it, not the message.
 */
export interface ReceivedMessage {
  topic: string;
  partition: number;
  offset: number;
  /** null where a foreign producer wrote no key. */
  readonly key: string | null;
  /** null for a tombstone. */
  readonly value: string | null;
  timestampMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TopicPartition {
  topic: string;
  partition: number;
}

/** A place in a partition: the offset of the next message to read. */
export interface TopicOffset extends TopicPartition {
  offset: number;
}

export interface Publisher extends AsyncDisposable {
  /** An empty batch, for one `publish` of this publisher. */
  batch(): OutgoingBatch;
  /**
   * Appends in order and resolves when every message is durable (Kafka: acks from all in-sync
   * replicas; embedded: written, and lost by a power cut only together with everything after it).
   * `checkpoint`, when given, is saved only after the messages are durable (embedded: in the same
   * transaction). Calls are carried out one after the other.
   * Retries while the broker is unreachable until `signal` aborts; then rejects.
   * A batch belongs to the publisher from the call on.
   */
  publish(
    messages: OutgoingBatch | readonly OutgoingMessage[],
    checkpoint?: { source: string; value: string },
    signal?: AbortSignal,
  ): Promise<void>;
  /** The last checkpoint saved for `source` (see `publish`), or null. */
  loadCheckpoint(source: string): Promise<string | null>;
}

/** What a member of the group may read now. */
export interface Assignment {
  partitions: readonly TopicPartition[];
  /** This member's partitions ÷ all partitions of the group's topics, 0 to 1. */
  share: number;
}

export interface MemberHandlers {
  /**
   * Called at the first assignment and after every rebalance. Everything received before is void:
   * the unfinished part of it comes again, to this member or to another, and commits of offsets
   * from before are ignored.
   */
  onAssigned(assignment: Assignment): void;
  /** A rebalance has begun: start no new work until `onAssigned`. */
  onRebalancing(): void;
  /**
   * Messages of one partition in offset order. The member reads on when the promise resolves;
   * delaying it is the back-pressure (the member keeps its place in the group meanwhile).
   */
  onMessages(messages: readonly ReceivedMessage[]): Promise<void>;
  /**
   * Messages that the group had not read are gone from these partitions (retention, a log that was
   * cut, a topic that was made anew), which begin at these offsets now. Nothing that comes after them is committed before the handler was called.
   */
  onLost(begins: readonly TopicOffset[]): void;
  /**
   * The group's offsets of these partitions were saved with another mark than this member's: what
   * came before them was judged by another rule. `places` are those offsets; the mark is this
   * member's once they are committed again. Nothing is committed before the handler was called.
   */
  onOtherMark(places: readonly TopicOffset[]): void;
}

/**
 * A member of a consumer group. Disposing leaves the group. Of itself it commits nothing but where
 * a new group begins.
 */
export interface GroupMember extends AsyncDisposable {
  /**
   * Resolves once it is known whether messages were lost before this assignment: `onLost` was called
   * by then. A commit before that could hide the loss from whoever has the partitions next.
   */
  readonly settled: Promise<void>;
  /** Saves how far the group has finished. Offsets of lost partitions are ignored. */
  commit(offsets: readonly TopicOffset[]): Promise<void>;
  /** Messages after the group's committed offsets, for each topic (its lag). */
  lag(): Promise<ReadonlyMap<string, number>>;
  /** Rejects when the member cannot go on (the process should exit 3); never resolves. */
  readonly failed: Promise<never>;
  /**
   * Whether the partitions can still be ours: false once the group has not been heard of for nearly
   * as long as it waits for a silent member before it gives them to another (a process that was
   * frozen and wakes up, a broker that is away).
   */
  readonly isCurrent: boolean;
  /** What it waits for, longer than a moment. */
  readonly waits: readonly Wait[];
}

/** One thing that is waited for, by name, and since how many seconds. */
export interface Wait {
  what: string;
  seconds: number;
}

/** A delivery refused for good, or a message that could not be read. */
export interface DeadLetter {
  /** `page-view-<id>`, or `<topic>-<partition>-<offset>` for an unreadable message. */
  id: string;
  userId: string | null;
  pageViewId: string | null;
  /** One sentence, without e-mail address or payload. */
  reason: string;
  /** HTTP status and Iterable's code, where there was an answer. */
  status: number | null;
  code: string | null;
  /** ISO time. */
  time: string;
  /** For an unreadable message. */
  source?: TopicOffset;
}

/** A letter as it was read. */
export interface KeptLetter {
  letter: DeadLetter;
  /** Tells it from a later one of the same id. */
  version: string;
}

export interface DeadLetterStore {
  /** Durable when it resolves; the same id replaces the earlier entry. */
  add(letters: readonly DeadLetter[]): Promise<void>;
  /** How many there are. */
  count(): Promise<number>;
  /**
   * All that are neither retried nor discarded when it begins, in the order they were written, some
   * hundred at a time. What comes meanwhile is not among them.
   */
  list(): AsyncIterable<KeptLetter[]>;
  /**
   * Forgets these (delivered after all, or discarded), each as it was read: one that was written
   * since under the same id stays.
   */
  remove(letters: readonly KeptLetter[]): Promise<void>;
}

/** Where each partition of a topic begins and ends. `end` is the offset of the next message. */
export interface PartitionBounds extends TopicPartition {
  begin: number;
  end: number;
}

export interface TopicNames {
  pageViews: string;
  userChanges: string;
  deadLetters: string;
  checkpoints: string;
}

/** One connection to the topics; closes what it opened. */
export interface Topics extends AsyncDisposable {
  readonly names: TopicNames;
  /** One line for logs, e.g. `Kafka at 127.0.0.1:9092` or `embedded file state/topics.db`. */
  readonly description: string;
  /** Creates missing topics; existing ones are taken as they are. */
  ensureTopics(): Promise<void>;
  /** At most one open publisher for a Topics. */
  publisher(): Promise<Publisher>;
  /**
   * Joins `groupId` for these topics. Partition p of every topic goes to the same member, so that
   * one user is with one member. A group without offsets begins at the oldest message.
   * `mark` is kept beside every offset that the member commits, and beside the beginning of a
   * partition that has none; offsets without a mark have the empty one, the default.
   */
  join(
    groupId: string,
    topics: readonly string[],
    handlers: MemberHandlers,
    mark?: string,
  ): Promise<GroupMember>;
  bounds(topics: readonly string[]): Promise<PartitionBounds[]>;
  /**
   * For each partition the offset of the first message with a timestamp at or after `timeMs`
   * (its end where there is none).
   */
  offsetsAtTime(topic: string, timeMs: number): Promise<TopicOffset[]>;
  /**
   * Reads the given ranges once, in offset order within a partition, and ends. Leaves every
   * group's offsets alone. Missing offsets (retention) are passed over.
   */
  read(ranges: readonly PartitionBounds[], signal: AbortSignal): AsyncIterable<ReceivedMessage[]>;
  readonly deadLetters: DeadLetterStore;
}
