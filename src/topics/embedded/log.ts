import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { BatchSet } from '../batch/batch-set.ts';
import { decodeHeaders } from '../batch/headers.ts';
import type { RecordBatch } from '../batch/record-batch.ts';
import type { PartitionBounds, ReceivedMessage, TopicOffset, TopicPartition } from '../port.ts';
import { StoredMessage, type StoredRow } from './stored-message.ts';
import { inTransaction } from './transaction.ts';

/** `log.id` of the first message of a partition (see file.ts). */
const PARTITION_STEP = 2 ** 40;
const MARK_EVERY_MS = 60 * 60 * 1000;

interface Partition extends TopicPartition {
  id: number;
  begin: number;
  next: number;
  timeMax: number;
}

type Row = Readonly<Record<string, string | number | null>>;

/** The log and what belongs to it, as synchronous statements on one connection. */
export class EmbeddedLog {
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #advance: StatementSync;
  readonly #slice: StatementSync;
  readonly #at: StatementSync;
  readonly #since: StatementSync;
  readonly #mark: StatementSync;
  readonly #saveCheckpoint: StatementSync;
  readonly #saveOffset: StatementSync;
  readonly #saveMark: StatementSync;
  readonly #ofTopic: StatementSync;
  readonly #ends: StatementSync;
  readonly #counts = new Map<string, number>();

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#insert = db.prepare(
      'INSERT INTO log (id, time, ahead, key, value, headers) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#advance = db.prepare('UPDATE partitions SET next = ?, time_max = ? WHERE id = ?');
    this.#slice = db.prepare(
      'SELECT id, time, key, value, headers FROM log WHERE id >= ? AND id < ? ORDER BY id LIMIT ?',
    );
    // Half the time of objects.
    this.#slice.setReturnArrays(true);
    this.#at = db.prepare(
      'SELECT id, time + ahead AS reached FROM log WHERE id >= ? AND id < ? ORDER BY id LIMIT 1',
    );
    this.#since = db.prepare(
      'SELECT id FROM log WHERE id >= ? AND id < ? AND time >= ? ORDER BY id LIMIT 1',
    );
    this.#mark = db.prepare(
      'INSERT OR IGNORE INTO marks (partition_id, at, next) VALUES (?, ?, ?)',
    );
    this.#saveCheckpoint = db.prepare(
      'INSERT INTO checkpoints (source, value) VALUES (?, ?) ON CONFLICT (source) DO UPDATE SET value = excluded.value',
    );
    this.#saveOffset = db.prepare(
      'INSERT INTO group_offsets (group_id, partition_id, offset) VALUES (?, ?, ?) ON CONFLICT (group_id, partition_id) DO UPDATE SET offset = excluded.offset',
    );
    this.#ofTopic = db.prepare('SELECT * FROM partitions WHERE topic = ? ORDER BY partition');
    this.#ends = db.prepare('SELECT id, next FROM partitions');
    this.#saveMark = db.prepare(
      'INSERT INTO group_marks (group_id, partition_id, offset, mark) VALUES (?, ?, ?, ?) ON CONFLICT (group_id, partition_id) DO UPDATE SET offset = excluded.offset, mark = excluded.mark',
    );
  }

  /** Makes the partitions of topics that have none. */
  ensureTopics(topics: readonly string[], partitions: number): void {
    inTransaction(this.#db, () => {
      const there = this.#db.prepare('SELECT COUNT(*) AS n FROM partitions WHERE topic = ?');
      const add = this.#db.prepare('INSERT INTO partitions (topic, partition) VALUES (?, ?)');
      for (const topic of topics) {
        if (Number(there.get(topic)?.['n']) > 0) continue;
        for (let partition = 0; partition < partitions; partition++) add.run(topic, partition);
      }
    });
  }

  /** How many partitions a topic has, as far as it was asked for; they never change. */
  partitions(topic: string): number {
    return this.#counts.get(topic) ?? 0;
  }

  /** All of it or nothing, written when it returns (see file.ts for what a power cut takes). */
  append(set: BatchSet, checkpoint: { source: string; value: string } | null, nowMs: number): void {
    inTransaction(this.#db, () => {
      const topics = new Map(set.topics.map((topic) => [topic, this.#partitions(topic)]));
      for (const [topic, { length }] of topics) this.#counts.set(topic, length);
      set.dealAgain();
      const hour = Math.floor(nowMs / MARK_EVERY_MS) * MARK_EVERY_MS;
      for (const { topic, partition, batches } of set.queues) {
        const at = topics.get(topic)?.[partition];
        if (at === undefined) throw new Error(`there is no topic ${topic}`);
        for (const batch of batches) this.#appendTo(at, batch);
        this.#advance.run(at.next, at.timeMax, at.id);
        this.#mark.run(at.id, hour, at.next);
      }
      if (checkpoint !== null) this.#saveCheckpoint.run(checkpoint.source, checkpoint.value);
    });
  }

  #appendTo(partition: Partition, batch: RecordBatch): void {
    let headers: Buffer | null = null;
    let headersJson = '';
    for (const record of batch) {
      const { key, value, timestampMs } = record;
      // Messages of one transaction share their headers.
      if (headers === null || !isSame(headers, record.headers)) {
        ({ headers } = record);
        headersJson = JSON.stringify(decodeHeaders(headers));
      }
      partition.timeMax = Math.max(partition.timeMax, timestampMs);
      const id = partition.id * PARTITION_STEP + partition.next;
      const ahead = partition.timeMax - timestampMs;
      this.#insert.run(id, timestampMs, ahead, textOf(key), textOf(value), headersJson);
      partition.next += 1;
    }
  }

  /** Those of the positions that have messages from there on. */
  unread<T extends TopicOffset>(positions: readonly T[]): T[] {
    const ends = new Map(this.#ends.all().map(({ id, next }) => [Number(id), Number(next)]));
    return positions.filter((at) => (ends.get(this.#find(at)?.id ?? 0) ?? 0) > at.offset);
  }

  /** Up to `countMax` messages from `at` on, in order. */
  slice(at: TopicOffset, endOffset: number, countMax: number): ReceivedMessage[] {
    const partition = this.#find(at);
    if (partition === null) return [];
    const base = partition.id * PARTITION_STEP;
    const end = base + Math.min(endOffset, PARTITION_STEP - 1);
    const rows = this.#slice.all(base + at.offset, end, countMax) as unknown as StoredRow[];
    return rows.map((row) => new StoredMessage(at, base, row));
  }

  bounds(topics: readonly string[]): PartitionBounds[] {
    return topics.flatMap((topic) =>
      this.#partitions(topic).map(({ partition, begin, next }) => ({
        topic,
        partition,
        begin,
        end: next,
      })),
    );
  }

  /** The highest timestamp so far rises along a partition, so a binary search finds the first. */
  offsetsAtTime(topic: string, timeMs: number): TopicOffset[] {
    return this.#partitions(topic).map(({ id, partition, begin, next }) => {
      const base = id * PARTITION_STEP;
      let low = begin;
      let high = next;
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        const row = this.#at.get(base + middle, base + high) as Row | undefined;
        if (row === undefined || Number(row['reached']) >= timeMs) high = middle;
        else low = Number(row['id']) - base + 1;
      }
      // Where older messages were dropped, the highest may have been one of them.
      const found = this.#since.get(base + low, base + next, timeMs);
      return { topic, partition, offset: found === undefined ? next : Number(found['id']) - base };
    });
  }

  /** Where the group goes on: its committed offset, or the oldest message. */
  groupOffsets(groupId: string, topics: readonly string[]): TopicOffset[] {
    const saved = this.#db.prepare(
      'SELECT offset FROM group_offsets WHERE group_id = ? AND partition_id = ?',
    );
    return topics.flatMap((topic) =>
      this.#partitions(topic).map(({ id, partition, begin }) => {
        const row = saved.get(groupId, id);
        return { topic, partition, offset: Math.max(begin, Number(row?.['offset'] ?? begin)) };
      }),
    );
  }

  /** Where partitions begin of which messages were dropped that the group had not read. */
  lost(groupId: string, topics: readonly string[]): TopicOffset[] {
    const saved = this.#db.prepare(
      'SELECT offset FROM group_offsets WHERE group_id = ? AND partition_id = ?',
    );
    return topics.flatMap((topic) =>
      this.#partitions(topic)
        .filter(({ id, begin }) => Number(saved.get(groupId, id)?.['offset'] ?? 0) < begin)
        .map(({ partition, begin }) => ({ topic, partition, offset: begin })),
    );
  }

  /** `mark` is kept beside each offset. */
  commit(groupId: string, offsets: readonly TopicOffset[], mark: string): void {
    inTransaction(this.#db, () => {
      for (const at of offsets) {
        const partition = this.#find(at);
        if (partition === null) continue;
        this.#saveOffset.run(groupId, partition.id, at.offset);
        this.#saveMark.run(groupId, partition.id, at.offset, mark);
      }
    });
  }

  /**
   * Partitions that the group has committed nothing of (`fresh`, where they begin), and those whose
   * offset was committed with another mark (`other`, where the group goes on).
   */
  marks(
    groupId: string,
    topics: readonly string[],
    mark: string,
  ): { fresh: TopicOffset[]; other: TopicOffset[] } {
    const saved = this.#db.prepare(
      'SELECT o.offset, m.mark FROM group_offsets o LEFT JOIN group_marks m ON m.group_id = o.group_id AND m.partition_id = o.partition_id AND m.offset = o.offset WHERE o.group_id = ? AND o.partition_id = ?',
    );
    const fresh: TopicOffset[] = [];
    const other: TopicOffset[] = [];
    for (const topic of topics) {
      for (const { id, partition, begin } of this.#partitions(topic)) {
        const row = saved.get(groupId, id);
        if (row === undefined) {
          if (begin === 0) fresh.push({ topic, partition, offset: 0 });
        } else if ((row['mark'] ?? '') !== mark) {
          other.push({ topic, partition, offset: Math.max(begin, Number(row['offset'])) });
        }
      }
    }
    return { fresh, other };
  }

  loadCheckpoint(source: string): string | null {
    const row = this.#db.prepare('SELECT value FROM checkpoints WHERE source = ?').get(source);
    return row === undefined ? null : String(row['value']);
  }

  /**
   * Deletes up to `countMax` messages older than `beforeMs` and gives their pages back. Returns how
   * many went, and how many of them a group had not read.
   */
  dropOld(beforeMs: number, countMax: number): { dropped: number; unread: number } {
    const old = this.#db
      .prepare(
        'SELECT p.id, p.begin, MAX(m.next) AS upto FROM partitions p JOIN marks m ON m.partition_id = p.id WHERE m.at <= ? GROUP BY p.id HAVING MAX(m.next) > p.begin',
      )
      .all(beforeMs - MARK_EVERY_MS) as unknown as Row[];
    let dropped = 0;
    let unread = 0;
    for (const row of old) {
      const id = Number(row['id']);
      const begin = Number(row['begin']);
      const upto = Math.min(Number(row['upto']), begin + countMax - dropped);
      if (upto <= begin) break;
      const behind = this.#db
        .prepare('SELECT MIN(offset) AS offset FROM group_offsets WHERE partition_id = ?')
        .get(id);
      if (behind?.['offset'] !== null && behind?.['offset'] !== undefined) {
        unread += Math.max(0, upto - Math.max(begin, Number(behind['offset'])));
      }
      inTransaction(this.#db, () => {
        const base = id * PARTITION_STEP;
        this.#db.prepare('DELETE FROM log WHERE id >= ? AND id < ?').run(base + begin, base + upto);
        this.#db.prepare('UPDATE partitions SET begin = ? WHERE id = ?').run(upto, id);
        this.#db.prepare('DELETE FROM marks WHERE partition_id = ? AND next < ?').run(id, upto);
      });
      dropped += upto - begin;
    }
    if (dropped > 0) this.#db.exec('PRAGMA incremental_vacuum(2000)');
    return { dropped, unread };
  }

  #partitions(topic: string): Partition[] {
    const rows = this.#ofTopic.all(topic) as unknown as Row[];
    return rows.map((row) => ({
      topic,
      id: Number(row['id']),
      partition: Number(row['partition']),
      begin: Number(row['begin']),
      next: Number(row['next']),
      timeMax: Number(row['time_max']),
    }));
  }

  readonly #known = new Map<string, Partition>();

  /** For its id only, which never changes. */
  #find({ topic, partition }: TopicPartition): Partition | null {
    const key = `${topic}/${partition}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    for (const found of this.#partitions(topic)) {
      this.#known.set(`${topic}/${found.partition}`, found);
    }
    return this.#known.get(key) ?? null;
  }
}

const textOf = (bytes: Buffer | null): string | null => bytes?.toString('utf8') ?? null;

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // What differs is at their ends.
  for (let at = a.length - 1; at >= 0; at -= 1) if (a[at] !== b[at]) return false;
  return true;
}
