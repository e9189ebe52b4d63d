import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin, EachBatchPayload, Kafka } from 'kafkajs';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { KafkaMember } from '../../src/topics/kafka/member.ts';
import { kafkajsInside } from '../../src/topics/kafka/wire/inside.ts';
import type { ReceivedMessage, TopicOffset } from '../../src/topics/port.ts';

/** kafkajs' consumer as far as a member sees it, with a log whose bounds can be set. */
class FakeKafka {
  readonly taken: ReceivedMessage[] = [];
  readonly lost: TopicOffset[] = [];
  readonly sought: number[] = [];
  readonly resolved: number[] = [];
  /** Offset and mark. */
  readonly committed: string[] = [];
  saved = 0;
  low = 0;
  high = 2000;
  failingReads = 0;
  room: Promise<void> = Promise.resolve();
  readonly #listeners = new Map<string, (event: unknown) => void>();
  #eachBatch: (payload: EachBatchPayload) => Promise<void> = () => Promise.resolve();

  async start(): Promise<KafkaMember> {
    const consumer = {
      events: { GROUP_JOIN: 'join' },
      on: (name: string, listener: (event: unknown) => void) => this.#listeners.set(name, listener),
      connect: () => Promise.resolve(),
      disconnect: () => Promise.resolve(),
      subscribe: () => Promise.resolve(),
      run: (options: { eachBatch: (payload: EachBatchPayload) => Promise<void> }) => {
        this.#eachBatch = options.eachBatch;
        return Promise.resolve();
      },
      seek: ({ offset }: { offset: string }) => void this.sought.push(Number(offset)),
      commitOffsets: (offsets: { offset: string; metadata: string }[]) => {
        this.committed.push(...offsets.map(({ offset, metadata }) => `${offset} ${metadata}`));
        return Promise.resolve();
      },
    };
    const admin = {
      connect: () => Promise.resolve(),
      disconnect: () => Promise.resolve(),
      fetchOffsets: () => {
        if (this.failingReads-- > 0) return Promise.reject(new Error('the broker is away'));
        const partitions = [{ partition: 0, offset: String(this.saved), metadata: 'ours' }];
        return Promise.resolve([{ topic: 'views', partitions }]);
      },
      fetchTopicOffsets: () =>
        Promise.resolve([{ partition: 0, low: String(this.low), high: String(this.high) }]),
    };
    const member = new KafkaMember({
      kafka: { consumer: () => consumer } as unknown as Kafka,
      inside: kafkajsInside(),
      asking: { admin: () => admin as unknown as Admin } as unknown as Kafka,
      groupId: 'group',
      topics: ['views'],
      mark: 'ours',
      logger: pino({ level: 'silent' }),
      onGroup: () => undefined,
      handlers: {
        onRebalancing: () => undefined,
        onAssigned: () => undefined,
        onMessages: (messages) => {
          this.taken.push(...messages);
          return this.room;
        },
        onLost: (begins) => void this.lost.push(...begins),
        onOtherMark: () => undefined,
      },
    });
    await member.start();
    this.join();
    return member;
  }

  join(): void {
    this.#listeners.get('join')?.({
      payload: { memberId: 'member', memberAssignment: { views: [0] } },
    });
  }

  /** Hands over a batch as kafkajs does, with what `readFetches` has put into it. */
  async batch(from: number, count: number, asked = from): Promise<void> {
    const messages = Array.from({ length: count }, (_, i) => ({
      topic: 'views',
      partition: 0,
      offset: from + i,
      key: null,
      value: '{}',
      timestampMs: 0,
      headers: {},
    }));
    const last = String(from + count - 1);
    await this.#eachBatch({
      batch: {
        topic: 'views',
        partition: 0,
        messages: [{ offset: last, batches: [{ firstOffset: from, messages: () => messages }] }],
        fetchedOffset: String(asked),
        lastOffset: () => last,
      },
      isRunning: () => true,
      isStale: () => false,
      heartbeat: () => Promise.resolve(),
      resolveOffset: (offset: string) => void this.resolved.push(Number(offset)),
    } as unknown as EachBatchPayload);
  }

  get offsets(): number[] {
    return this.taken.map(({ offset }) => offset);
  }
}

describe('a member of a Kafka group', () => {
  it('takes batches that follow one another, from what is committed', async () => {
    const kafka = new FakeKafka();
    kafka.saved = 950;
    await kafka.start();
    await kafka.batch(950, 2);
    await kafka.batch(952, 1);
    expect(kafka.offsets).toEqual([950, 951, 952]);
    expect(kafka.resolved).toEqual([951, 952]);
  });

  // Guards `generation !== this.#generation` in #eachBatch.
  it('leaves a batch unread that waited for room when the group was joined anew', async () => {
    const kafka = new FakeKafka();
    kafka.saved = 950;
    await kafka.start();
    const room = Promise.withResolvers<void>();
    kafka.room = room.promise;
    const waiting = kafka.batch(950, 60);
    await sleep(20);
    kafka.join();
    room.resolve();
    await waiting;
    expect(kafka.resolved).toEqual([]);
  });

  // Guards the seek in #follows.
  it('goes back where an answer to a fetch of the assignment before comes after a new one', async () => {
    const kafka = new FakeKafka();
    kafka.saved = 950;
    await kafka.start();
    await kafka.batch(950, 50);
    kafka.taken.length = 0;
    kafka.resolved.length = 0;
    kafka.join();
    await kafka.batch(1000, 10);
    expect(kafka.sought).toEqual([950]);
    expect(kafka.resolved).toEqual([]);
    await kafka.batch(950, 60);
    expect(kafka.offsets[0]).toBe(950);
    expect(kafka.resolved).toEqual([1009]);
    expect(kafka.lost).toEqual([]);
  });

  it('gets past records that never reach it, and past a compacted gap', async () => {
    const kafka = new FakeKafka();
    await kafka.start();
    await kafka.batch(0, 10);
    await kafka.batch(20, 5, 10);
    expect(kafka.sought).toEqual([]);
    for (let i = 0; i < 4; i++) await kafka.batch(30, 5);
    expect(kafka.sought).toEqual([25, 25, 25]);
    expect(kafka.resolved.at(-1)).toBe(34);
  });

  // Guards the generation in `commit`: the next assignment may find that messages were lost.
  it('saves nothing of an assignment that is over by the time it is known what was lost', async () => {
    const kafka = new FakeKafka();
    kafka.failingReads = 1;
    const member = await kafka.start();
    const committing = member.commit([{ topic: 'views', partition: 0, offset: 5 }]);
    kafka.join();
    await committing;
    await member.settled;
    expect(kafka.committed).toEqual([]);
    await member.commit([{ topic: 'views', partition: 0, offset: 6 }]);
    expect(kafka.committed).toEqual(['6 ours']);
  });

  // Guards LOST_MARK: the offsets of a log that was made anew look like any other's.
  it('leaves a mark beside the offsets of a log that became shorter, for whoever has it next', async () => {
    const kafka = new FakeKafka();
    await using member = await kafka.start();
    await member.settled;
    kafka.saved = 2000;
    const end = performance.now() + 20_000;
    await sleep(1_500);
    kafka.high = 10;
    kafka.saved = 5;
    while (kafka.committed.length === 0 && performance.now() < end) await sleep(50);
    expect(kafka.lost).toEqual([{ topic: 'views', partition: 0, offset: 0 }]);
    expect(kafka.committed).toEqual(['0 lost']);
  }, 30_000);

  // Guards `#begin`: what the first batch of a partition has to follow.
  it('finds what retention took before its first batch', async () => {
    const kafka = new FakeKafka();
    kafka.saved = 100;
    await kafka.start();
    await sleep(20);
    kafka.low = 150;
    await kafka.batch(150, 5);
    expect(kafka.lost).toEqual([{ topic: 'views', partition: 0, offset: 150 }]);
    expect(kafka.resolved).toEqual([154]);
  });

  // Guards that #reading moves only after the question has been answered.
  it('asks again about a gap when the answer did not come', async () => {
    const kafka = new FakeKafka();
    await kafka.start();
    await kafka.batch(0, 10);
    kafka.low = 50;
    kafka.failingReads = 1;
    await expect(kafka.batch(50, 5)).rejects.toThrow('the broker is away');
    await kafka.batch(50, 5);
    expect(kafka.lost).toHaveLength(1);
    expect(kafka.resolved).toEqual([9, 54]);
  });
});
