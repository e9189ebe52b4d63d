import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../../src/errors.ts';
import type { OutgoingMessage } from '../../src/topics/port.ts';
import { randomFaults } from '../../src/topics/memory/faults.ts';
import type { MemoryTopics } from '../../src/topics/memory/topics.ts';
import { SEED } from '../support/extent.ts';
import { MemoryWorld } from '../support/memory-world.ts';
import { Reader, letter, lettersOf, message, readAll } from '../support/topics.ts';

const VIEWS = 'views';
const CHANGES = 'views.user_changes';

const numbered = (count: number, from = 0, keys = 1): OutgoingMessage[] =>
  Array.from({ length: count }, (_, i) =>
    message(VIEWS, (from + i) % keys, `${from + i}`, from + i),
  );

const numbers = (messages: readonly { value: string | null }[]): number[] =>
  messages.map(({ value }) => Number(value));

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

async function world() {
  const made = new MemoryWorld(SEED);
  const topics = await made.connect('a');
  const publisher = await topics.publisher();
  const all = async (): Promise<number[]> => {
    const read = async () => readAll(topics, await topics.bounds([VIEWS, CHANGES]));
    return numbers(await made.clock.settled(read()));
  };
  const joined = (by: MemoryTopics, reader = new Reader(), mark = ''): Promise<Reader> =>
    made.clock.settled(reader.join(by, 'g', mark));
  return { made, topics, publisher, all, joined, clock: made.clock, broker: made.broker };
}

describe('a publish to topics in memory', () => {
  it.each(['refused', 'lost'] as const)(
    'that is %s is tried again, and written once',
    async (how) => {
      const { made, publisher, all, clock } = await world();
      made.meet('publish', how, how);
      await clock.settled(publisher.publish(numbered(3)));
      expect(await all()).toEqual([0, 1, 2]);
    },
  );

  it('whose answer is lost is written again behind itself', async () => {
    const { made, publisher, all, clock } = await world();
    made.meet('publish', 'unanswered');
    await clock.settled(publisher.publish(numbered(3)));
    await clock.settled(publisher.publish(numbered(1, 3)));
    expect(await all()).toEqual([0, 1, 2, 0, 1, 2, 3]);
  });

  it('waits for a partition without a leader while the others take theirs', async () => {
    const { publisher, topics, clock, broker } = await world();
    await clock.settled(publisher.publish(numbered(1)));
    const bounds = await clock.settled(topics.bounds([VIEWS]));
    const led = bounds.find(({ end }) => end === 1)!;
    broker.withoutLeader(led, 5_000);
    const messages = numbered(60, 1, 30);
    const beganMs = clock.now();
    const published = publisher.publish(messages, { source: 's', value: '1' });
    await clock.run(beganMs + 4_000);
    const written = broker.logsOf(VIEWS).reduce((sum, log) => sum + log.end, 0);
    expect(written).toBeGreaterThan(30);
    expect(written).toBeLessThan(61);
    // The checkpoint says that everything before it is there.
    expect(broker.checkpoints.get('views.checkpoints')?.get('s')).toBeUndefined();
    await clock.settled(published);
    expect(clock.now() - beganMs).toBeGreaterThan(5_000);
    expect(broker.logsOf(VIEWS).reduce((sum, log) => sum + log.end, 0)).toBe(61);
    expect(await clock.settled(publisher.loadCheckpoint('s'))).toBe('1');
  });

  it('ends with its signal, or when the publisher is closed', async () => {
    const { made, publisher, clock } = await world();
    made.broker.faults = randomFaults(made.random, { lost: 1 });
    const stop = new AbortController();
    const stopped = publisher.publish(numbered(1), undefined, stop.signal);
    stopped.catch(() => undefined);
    await made.pass(2_000);
    stop.abort();
    await expect(stopped).rejects.toThrow(/abort/);
    const closed = publisher.publish(numbered(1));
    closed.catch(() => undefined);
    await clock.settled(publisher[Symbol.asyncDispose](), 4_000);
    await expect(closed).rejects.toThrow(/abort/);
  });

  it('may have arrived where its process was killed meanwhile, and is never acknowledged', async () => {
    const { made, topics, publisher, clock } = await world();
    let isSettled = false;
    const settle = (): void => void (isSettled = true);
    await clock.settled(publisher.publish(numbered(1)));
    publisher.publish(numbered(1, 1)).then(settle, settle);
    await made.pass(0);
    topics.kill();
    publisher.publish(numbered(1, 2)).then(settle, settle);
    topics.bounds([VIEWS]).then(settle, settle);
    await made.pass(60_000);
    expect(isSettled).toBe(false);
    const other = await made.connect('b');
    const read = async () => readAll(other, await other.bounds([VIEWS]));
    expect(numbers(await clock.settled(read()))).toEqual([0, 1]);
  });

  it('of a process that is killed while it is asked for a fault is never sent', async () => {
    const { made, topics, publisher, all, clock } = await world();
    const usual = made.broker.faults;
    made.broker.faults = {
      ...usual,
      passage: (request) => {
        if (request.kind === 'publish') topics.kill();
        return usual.passage(request);
      },
    };
    void publisher.publish(numbered(1));
    await made.pass(60_000);
    expect(made.broker.logsOf(VIEWS).every(({ end }) => end === 0)).toBe(true);
    await expect(
      clock.settled(
        all().then(() => 'it goes on'),
        60_000,
      ),
    ).rejects.toThrow(/in vain/);
  });
});

describe('a member of a group in memory', () => {
  it('is given each message once and in order, however late a fetch is and whatever it repeats', async () => {
    const { made, topics, publisher, joined, clock } = await world();
    made.broker.faults = randomFaults(
      made.random,
      { repeated: 0.7, late: 0.5, lateMsMax: 3_000, lost: 0.2, unanswered: 0.2 },
      ({ kind }) => kind === 'fetch',
    );
    const reader = await joined(topics);
    for (let at = 0; at < 100; at += 5) {
      await clock.settled(publisher.publish(numbered(5, at)));
      await made.pass(500);
    }
    await made.pass(60_000);
    expect(numbers(reader.received)).toEqual(upTo(100));
    expect(reader.assignments).toHaveLength(1);
  });

  it('is given again after a rebalance what was not committed, and nothing in between', async () => {
    const { made, topics, publisher, broker, joined, clock } = await world();
    const reader = await joined(topics);
    await clock.settled(publisher.publish(numbered(20)));
    await made.pass(100);
    const { topic, partition } = reader.received[0]!;
    await clock.settled(reader.member!.commit([{ topic, partition, offset: 5 }]));
    broker.group('g').rebalance();
    await made.pass(2_000);
    expect(reader.assignments).toHaveLength(2);
    expect(numbers(reader.received)).toEqual(upTo(20).slice(5));
    expect(await clock.settled(reader.member!.lag())).toEqual(
      new Map([
        [VIEWS, 15],
        [CHANGES, 0],
      ]),
    );
  });

  it('is given nothing between the beginning of a rebalance and its next assignment', async () => {
    const { made, topics, joined, clock, publisher } = await world();
    class Watching extends Reader {
      isRebalancing = false;
      handedOver = 0;

      override onRebalancing(): void {
        this.isRebalancing = true;
      }

      override onAssigned(assignment: Parameters<Reader['onAssigned']>[0]): void {
        super.onAssigned(assignment);
        this.isRebalancing = false;
      }

      override async onMessages(messages: Parameters<Reader['onMessages']>[0]): Promise<void> {
        if (this.isRebalancing) this.handedOver += messages.length;
        await super.onMessages(messages);
      }
    }
    const reader = await joined(topics, new Watching());
    const dying = await made.connect('b');
    await joined(dying);
    await made.pass(2_000);
    dying.kill();
    // The group waits for the dead one to join again.
    made.broker.group('g').rebalance();
    await made.pass(1_500);
    expect((reader as Watching).isRebalancing).toBe(true);
    await clock.settled(publisher.publish(numbered(60, 0, 30)));
    await made.pass(15_000);
    expect(reader.received).toHaveLength(60);
    expect((reader as Watching).handedOver).toBe(0);
  });

  it('whose session has ended commits nothing any more until it is assigned again', async () => {
    const { made, topics, publisher, broker, joined, clock } = await world();
    const other = await made.connect('b');
    const reader = await joined(topics);
    await clock.settled(publisher.publish(numbered(20)));
    await made.pass(100);
    const { topic, partition } = reader.received[0]!;
    broker.group('g').endSessions('a');
    const second = await joined(other);
    await clock.settled(reader.member!.commit([{ topic, partition, offset: 20 }]));
    expect((await clock.settled(second.member!.lag())).get(VIEWS)).toBe(20);
    await made.pass(5_000);
    expect([reader, second].map(({ assignments }) => assignments.at(-1)?.share)).toEqual([
      0.5, 0.5,
    ]);
  });

  it('is called no more once it is killed; its partitions are free when its session is over', async () => {
    const { made, topics, joined, clock } = await world();
    const other = await made.connect('b');
    const dying = await joined(topics);
    const living = await joined(other);
    await made.pass(3_000);
    expect(living.assignments.at(-1)?.share).toBe(0.5);
    const killedMs = clock.now();
    topics.kill();
    const before = dying.assignments.length;
    const writer = await other.publisher();
    await clock.settled(writer.publish(numbered(60, 0, 30)));
    await made.pass(7_000);
    expect(living.received.length).toBeLessThan(60);
    await made.pass(8_000);
    expect(living.assignments.at(-1)?.share).toBe(1);
    expect(living.received).toHaveLength(60);
    expect(dying.received).toEqual([]);
    expect(dying.assignments).toHaveLength(before);
    expect(clock.now() - killedMs).toBeLessThan(16_000);
  });

  it('knows when the group may have given its partitions away', async () => {
    const { made, topics, joined } = await world();
    const reader = await joined(topics);
    await made.pass(5_000);
    expect(reader.member!.isCurrent).toBe(true);
    made.broker.faults = randomFaults(made.random, { lost: 1 });
    await made.pass(8_500);
    expect(reader.member!.isCurrent).toBe(false);
    made.broker.faults = randomFaults(made.random);
    await made.pass(3_000);
    expect(reader.member!.isCurrent).toBe(true);
  });

  it('learns of messages that retention took before it read them, at the start and while it reads', async () => {
    const { made, topics, publisher, broker, joined, clock } = await world();
    const gate = Promise.withResolvers<void>();
    const first = new Reader();
    first.gate = gate.promise;
    await joined(topics, first);
    await clock.settled(publisher.publish(numbered(1_200)));
    await made.pass(100);
    const { topic, partition } = first.received[0]!;
    await clock.settled(first.member!.commit([{ topic, partition, offset: 100 }]));
    broker.dropOld(1_000);
    gate.resolve();
    await made.pass(100);
    const begin = { topic, partition, offset: 1_000 };
    expect(first.lost).toEqual([begin]);
    expect(numbers(first.received).slice(500)).toEqual(upTo(1_200).slice(1_000));
    await clock.settled(first.leave());
    const second = await joined(topics);
    await made.pass(100);
    expect(second.lost).toEqual([begin]);
    await clock.settled(second.member!.commit([{ ...begin, offset: 1_200 }]));
    await clock.settled(second.leave());
    broker.dropOld(1_100);
    const third = await joined(topics);
    await made.pass(100);
    expect(third.lost).toEqual([]);
  });

  it('leaves word of a topic that was made anew for whoever comes after it', async () => {
    const { made, topics, publisher, broker, joined, clock } = await world();
    const reader = await joined(topics, new Reader(), 'mark');
    await clock.settled(publisher.publish(numbered(20)));
    await made.pass(100);
    broker.makeAnew(VIEWS);
    await made.pass(1_000);
    expect(reader.lost).toHaveLength(6);
    const { topic, partition } = reader.received[0]!;
    topics.kill();
    const other = await made.connect('b');
    const next = await joined(other, new Reader(), 'mark');
    await made.pass(20_000);
    expect(next.marked.filter((at) => at.topic === topic)).toHaveLength(6);
    expect(next.marked).toContainEqual({ topic, partition, offset: 0 });
  });
});

describe('topics in memory that are out of reach', () => {
  it('are said to be so', async () => {
    const { made, topics, broker, clock } = await world();
    broker.withoutLeader({ topic: VIEWS, partition: 0 }, 60_000);
    await expect(clock.settled(topics.bounds([VIEWS]))).rejects.toThrow(UnavailableError);
    made.broker.faults = randomFaults(made.random, { refused: 1 });
    await expect(clock.settled(topics.deadLetters.count())).rejects.toThrow(/refused/);
  });

  it('take a dead letter whose answer was lost once', async () => {
    const { made, topics, clock } = await world();
    made.meet('dead letters', 'unanswered');
    await clock.settled(topics.deadLetters.add([letter('a', '2026-01-01')]));
    expect(await clock.settled(lettersOf(topics))).toHaveLength(1);
  });
});
