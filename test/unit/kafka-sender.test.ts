import { pino } from 'pino';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Outages } from '../../src/observe/outages.ts';
import { KafkaPublisher } from '../../src/topics/kafka/publisher.ts';
import { kafkajsInside } from '../../src/topics/kafka/wire/inside.ts';
import { nextSequence } from '../../src/topics/kafka/wire/sequence.ts';
import { Wire } from '../../src/topics/kafka/wire/wire.ts';
import { type Fault, StandInBrokers } from '../support/stand-in-brokers.ts';
import { message } from '../support/topics.ts';

function publisherOn(brokers: StandInBrokers, lines: string[] = []) {
  const logger = pino(
    { level: 'info' },
    { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) },
  );
  const wire = new Wire(brokers, kafkajsInside());
  return new KafkaPublisher({
    wire,
    sender: wire.sender(null),
    checkpointsTopic: 'checkpoints',
    loadCheckpoint: () => Promise.resolve(null),
    outages: new Outages(logger),
  });
}

const messages = (from: number, count: number, keys = 10, bytes = 1) =>
  Array.from({ length: count }, (_, i) =>
    message('t', (from + i) % keys, `${from + i}`.padEnd(bytes, ' ')),
  );

/** By key, the values in the order in which each was first written. */
function firstWritten({ log }: StandInBrokers): Map<string, number[]> {
  const keys = new Map<string, Set<number>>();
  for (const { topic, key, value } of log) {
    if (topic !== 't') continue;
    const seen = keys.get(key) ?? new Set();
    keys.set(key, seen.add(Number(value)));
  }
  return new Map([...keys].map(([key, seen]) => [key, [...seen]]));
}

function expectedByKey(count: number, keys: number): Map<string, number[]> {
  const all = new Map<string, number[]>();
  for (let i = 0; i < count; i++) all.set(`${i % keys}`, [...(all.get(`${i % keys}`) ?? []), i]);
  return all;
}

const sorted = (map: Map<string, number[]>) => [...map].toSorted(([a], [b]) => a.localeCompare(b));

describe('what a publisher has acknowledged is in the topic', () => {
  // The client library forgets a partition that moves to a broker which has answered already.
  const kinds = ['moved', 'unsent', 'unanswered', 'half answered'] as const;
  const orders = [
    [0, 20],
    [20, 0],
    [5, 5],
  ];
  const cases = kinds.flatMap((kind) =>
    [0, 1].flatMap((failing) =>
      orders.map(([first, second]) => ({ kind, failing, first, second })),
    ),
  );
  it.each(cases)(
    'where of two brokers number $failing fails ($kind) after $first and $second ms',
    async ({ kind, failing, first, second }) => {
      const faults = [first!, second!].map((afterMs, i): Fault => ({
        afterMs,
        kind: i === failing ? kind : 'none',
      }));
      const brokers = new StandInBrokers([1, 2], faults);
      await using publisher = publisherOn(brokers);
      await publisher.publish(messages(0, 10));
      expect(sorted(firstWritten(brokers))).toEqual(sorted(expectedByKey(10, 10)));
      // An answer that was lost leaves no second copy.
      expect(brokers.values()).toHaveLength(10);
    },
  );

  it('whatever fails on the way, in the order of each key', async () => {
    const fault = fc.record({
      afterMs: fc.integer({ min: 0, max: 3 }),
      kind: fc.constantFrom<Fault['kind']>(
        'none',
        'moved',
        'unsent',
        'unanswered',
        'half answered',
        'grown',
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { maxLength: 8 }), async (faults) => {
        const brokers = new StandInBrokers([1, 2, 3, 1], faults);
        await using publisher = publisherOn(brokers);
        for (let from = 0; from < 60; from += 20) {
          const value = String(from);
          await publisher.publish(messages(from, 20), { source: 's', value });
          // The checkpoint is there when the call resolves, after its messages.
          expect(brokers.log.at(-1)).toMatchObject({ topic: 'checkpoints', value });
        }
        expect(sorted(firstWritten(brokers))).toEqual(sorted(expectedByKey(60, 10)));
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  it('also where a batch is too large for a broker: it is sent in parts', async () => {
    const brokers = new StandInBrokers([1, 2]);
    brokers.batchBytesMax = 2_000;
    await using publisher = publisherOn(brokers);
    await publisher.publish(messages(0, 100, 3, 200));
    expect(sorted(firstWritten(brokers))).toEqual(sorted(expectedByKey(100, 3)));
    expect(brokers.values()).toHaveLength(100);
  });

  it('in requests and batches that a broker takes, however much is published at once', async () => {
    const brokers = new StandInBrokers([1, 1, 2]);
    brokers.batchBytesMax = 1_000_000;
    await using publisher = publisherOn(brokers);
    await publisher.publish(messages(0, 300, 7, 20_000));
    expect(sorted(firstWritten(brokers))).toEqual(sorted(expectedByKey(300, 7)));
    expect(brokers.requests).toBeGreaterThanOrEqual(7);
  });
});

describe('a publisher that has to wait', () => {
  it('ends at once when it is told to, and goes on with the next', async () => {
    const faults = [{ afterMs: 300, kind: 'none' } as const];
    const brokers = new StandInBrokers([1], faults);
    await using publisher = publisherOn(brokers);
    const stop = new AbortController();
    const first = publisher.publish(messages(0, 1), undefined, stop.signal);
    setTimeout(() => stop.abort(), 20);
    await expect(first).rejects.toThrow(/aborted/);
    await new Promise((resolve) => setTimeout(resolve, 400));
    await publisher.publish(messages(1, 1));
    expect(brokers.values()).toEqual(['1']);
  });

  it('says so once, and once that it is over; not for a leader that moves', async () => {
    const lines: string[] = [];
    const brokers = new StandInBrokers([1], [{ afterMs: 0, kind: 'moved' }]);
    await using publisher = publisherOn(brokers, lines);
    await publisher.publish(messages(0, 1));
    expect(lines).toEqual([]);
    const away = Array.from({ length: 8 }, (): Fault => ({ afterMs: 0, kind: 'unsent' }));
    const other = new StandInBrokers([1], away);
    await using waiting = publisherOn(other, lines);
    await waiting.publish(messages(0, 1));
    await expect
      .poll(() => lines, { timeout: 6_000 })
      .toEqual([
        'Kafka does not take messages (the connection is closed); capture waits and tries again',
        expect.stringMatching(/^Kafka answers again, after \d s$/),
      ]);
  }, 30_000);
});

describe('the numbers of a producer', () => {
  it('begin again at 0 after the last of 31 bits', () => {
    expect(nextSequence(0, 5)).toBe(5);
    expect(nextSequence(2 ** 31 - 1, 1)).toBe(0);
    expect(nextSequence(2 ** 31 - 3, 5)).toBe(2);
  });
});
