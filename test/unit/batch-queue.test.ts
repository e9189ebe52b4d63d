import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchQueue } from '../../src/source/mysql/transactions/batch-queue.ts';
import type { TransactionEnd } from '../../src/source/mysql/dump/events.ts';
import { BatchSet } from '../../src/topics/batch/batch-set.ts';
import { MessageList } from '../../src/topics/message-list.ts';
import type { OutgoingBatch } from '../../src/topics/port.ts';

const KINDS = ['rows', 'decide', 'take back', 'add', 'mark', 'end', 'next'] as const;
const step = fc.record({ kind: fc.constantFrom('rows', 'rows', ...KINDS), count: fc.nat(4) });

/** The values in it; of a BatchSet in the order of each key. */
function valuesOf(batch: OutgoingBatch): number[] {
  if (batch instanceof MessageList) return batch.messages.map(({ value }) => Number(value));
  const set = batch as BatchSet;
  set.dealAgain();
  return set.queues.flatMap(({ batches }) =>
    batches.flatMap((one) => [...one].map(({ value }) => Number(value))),
  );
}

const kinds: { name: string; make: () => () => OutgoingBatch }[] = [
  { name: 'as objects', make: () => () => new MessageList() },
  {
    name: 'encoded',
    // Not known for the first, another for every later one.
    make: () => {
      let partitions = 0;
      return () => new BatchSet({ partitionsOf: () => (partitions += 1) - 1, nowMs: null });
    },
  },
];

describe.each(kinds)('a queue of batches, $name', ({ make }) => {
  const KEYS = 4;

  // Guards BatchQueue.next and #decidedBatch: nothing undecided is published, and nothing decided is
  // lost or changes its place among those of its key.
  test('gives what was decided, all of it, in order, and nothing that was taken back', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        /** Of each transaction that has ended, what had been decided by then. */
        const ended: { number: number; upTo: number[] }[] = [];
        const done: number[] = [];
        const onEnds = ({ gtid, first }: TransactionEnd): void => {
          const last = Number(gtid?.number);
          for (const { number, upTo } of ended) {
            if (number < Number(first) || number > last) continue;
            expect(published).toEqual(expect.arrayContaining(upTo));
            done.push(number);
          }
        };
        const queue = new BatchQueue(make(), onEnds);
        const decided: number[] = [];
        let undecided: number[][] = [];
        const published: number[] = [];
        let next = 0;
        const push = (count: number, to: OutgoingBatch): number[] =>
          Array.from({ length: count }, () => {
            const value = (next += 1);
            const key = String(value % KEYS);
            to.push({ topic: 't', key, value: `${value}`, timestampMs: value, headers: {} });
            return value;
          });
        const take = (): boolean => {
          const batch = queue.next();
          if (batch === undefined) return false;
          published.push(...valuesOf(batch.messages));
          // What an action is about was published with it, or before.
          for (const action of batch.actions) action();
          return true;
        };
        for (const { kind, count } of steps) {
          if (undecided.length === 0) queue.begin();
          switch (kind) {
            case 'rows':
              queue.rows((to) => {
                undecided.push(push(count, to));
                return { kind: 'row', rows: count };
              });
              break;
            case 'decide':
              queue.decide();
              decided.push(...undecided.flat());
              undecided = [];
              break;
            case 'take back':
              queue.takeBack(count);
              undecided = undecided.slice(0, count);
              break;
            case 'add':
              queue.add((to) => decided.push(...push(count, to)));
              break;
            case 'mark': {
              const upTo = [...decided];
              queue.mark(() => expect(published).toEqual(expect.arrayContaining(upTo)));
              break;
            }
            case 'end': {
              const number = (ended.at(-1)?.number ?? 0) + (count === 0 ? 2 : 1);
              ended.push({ number, upTo: [...decided] });
              queue.end({ gtid: { source: 's:', number }, file: 'f', position: number });
              break;
            }
            case 'next':
              take();
              break;
          }
          expect(queue.undecided).toBe(undecided.length);
          expect(queue.bytes).toBeGreaterThanOrEqual(0);
        }
        queue.takeBack();
        queue.decide();
        while (take());
        expect(queue.bytes).toBe(0);
        expect(done).toEqual(ended.map(({ number }) => number));
        expect(published.toSorted((a, b) => a - b)).toEqual(decided.toSorted((a, b) => a - b));
        for (let key = 0; key < KEYS; key += 1) {
          const of = (values: number[]): number[] => values.filter((value) => value % KEYS === key);
          // One that is added beside an open transaction goes before it.
          expect(of(published)).toEqual(of(decided));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('counts the rows of what was decided', () => {
    const queue = new BatchQueue(make(), () => undefined);
    const event = (kind: string) =>
      queue.rows((to) => {
        to.push({ topic: 't', key: '1', value: '1', timestampMs: 1, headers: {} });
        return { kind, rows: 1 };
      });
    queue.begin();
    event('a');
    event('b');
    event('b');
    queue.takeBack(2);
    queue.decide();
    event('a');
    expect([...(queue.next()?.rows ?? [])]).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
  });
});
