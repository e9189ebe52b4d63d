import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchSet, asBatchSet } from '../../src/topics/batch/batch-set.ts';
import { decodeHeaders, encodeHeaders } from '../../src/topics/batch/headers.ts';
import { MessageList } from '../../src/topics/message-list.ts';
import { partitionOf } from '../../src/topics/partitioner.ts';
import type { OutgoingMessage, ValueWriter } from '../../src/topics/port.ts';

const message = fc.record({
  topic: fc.constantFrom('views', 'changes'),
  key: fc.oneof(fc.nat().map(String), fc.string({ unit: 'binary' })),
  value: fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.nat(20_000).map((length) => 'ö'.repeat(length >> (length % 12))),
  ),
  timestampMs: fc.nat(3),
  headers: fc.constantFrom({}, { schema: 'a/1', position: 'ß' }, { schema: 'b/1' }),
});

/** As a row writes itself, which knows only how many bytes it takes at most. */
function written(value: string, slack: number): ValueWriter {
  return {
    bytesMax: () => Buffer.byteLength(value) + slack,
    write: (target, at) => at + target.write(value, at),
  };
}

const idOf = (key: string): number | string =>
  /^(0|[1-9]\d{0,14})$/.test(key) ? Number(key) : key;

function contents(set: BatchSet): Record<string, OutgoingMessage[]> {
  const found: Record<string, OutgoingMessage[]> = {};
  for (const { topic, partition, batches } of set.queues) {
    found[`${topic}/${partition}`] = batches.flatMap((batch) =>
      [...batch].map(({ key, value, headers, timestampMs }) => ({
        topic,
        key: key?.toString() ?? '',
        value: value?.toString() ?? '',
        timestampMs,
        headers: decodeHeaders(headers),
      })),
    );
  }
  return found;
}

function expected(messages: readonly OutgoingMessage[], partitions: number) {
  const found: Record<string, OutgoingMessage[]> = {};
  for (const one of messages) {
    const key = Buffer.from(one.key);
    const of = (found[`${one.topic}/${partitionOf(key, key.length, partitions)}`] ??= []);
    of.push({ ...one, key: key.toString(), value: Buffer.from(one.value).toString() });
  }
  return found;
}

/** By partition and key. */
function byKey(partitions: Record<string, OutgoingMessage[]>) {
  const found: Record<string, OutgoingMessage[]> = {};
  for (const [partition, messages] of Object.entries(partitions)) {
    for (const one of messages) (found[`${partition} ${one.key}`] ??= []).push(one);
  }
  return found;
}

describe('messages on their way', () => {
  test('are the same whether their values are given or written in place, however long', () => {
    const some = fc.array(fc.tuple(message, fc.nat(70_000)), { maxLength: 30 });
    fc.assert(
      fc.property(some, fc.integer({ min: 1, max: 7 }), (pairs, partitions) => {
        const options = { partitionsOf: () => partitions, nowMs: null };
        const [given, inPlace] = [new BatchSet(options), new BatchSet(options)];
        const list = new MessageList();
        for (const [one, slack] of pairs) {
          const { topic, key, value, timestampMs, headers } = one;
          const writer = written(value, slack);
          given.push(one);
          const encoded = encodeHeaders(headers);
          inPlace.pushWritten(topic, idOf(key), writer, timestampMs, encoded);
          list.pushWritten(topic, idOf(key), writer, timestampMs, encoded);
        }
        const messages = pairs.map(([one]) => one);
        expect(contents(given)).toEqual(expected(messages, partitions));
        expect(contents(inPlace)).toEqual(expected(messages, partitions));
        expect(contents(asBatchSet(list.messages, () => new BatchSet(options)))).toEqual(
          expected(messages, partitions),
        );
        expect(inPlace.count).toBe(pairs.length);
      }),
      { numRuns: 100 },
    );
  });

  // Guards #topics' `partitions`: those of one key must not lie in two partitions at a time.
  test('are dealt out by the number of partitions at the end, in the order of each key', () => {
    const some = fc.array(message, { maxLength: 60 });
    fc.assert(
      fc.property(some, fc.array(fc.nat(5), { minLength: 1 }), (messages, numbers) => {
        let partitions = 0;
        const set = new BatchSet({ partitionsOf: () => partitions, nowMs: null });
        for (const [i, one] of messages.entries()) {
          partitions = numbers[i % numbers.length] ?? 0;
          set.push(one);
        }
        partitions = 3;
        set.dealAgain();
        expect(byKey(contents(set))).toEqual(byKey(expected(messages, 3)));
      }),
      { numRuns: 100 },
    );
  });

  test('can be cut in two, and go no further back than what was settled', () => {
    const some = fc.array(message, { maxLength: 40 });
    fc.assert(
      fc.property(some, some, some, (settled, kept, cut) => {
        const set = new BatchSet({ partitionsOf: () => 4, nowMs: null });
        for (const one of settled) set.push(one);
        set.settle();
        for (const one of [...kept, ...cut]) set.push(one);
        const rest = set.cut(settled.length + kept.length);
        expect(contents(set)).toEqual(expected([...settled, ...kept], 4));
        expect(contents(rest)).toEqual(expected(cut, 4));
        expect(rest.count).toBe(cut.length);
        // What was cut off can be cut again.
        expect(contents(rest.cut(cut.length >> 1))).toEqual(
          expected(cut.slice(cut.length >> 1), 4),
        );
        if (settled.length > 0) expect(() => set.cut(settled.length - 1)).toThrow(RangeError);
      }),
      { numRuns: 100 },
    );
  });

  test('that are half an hour ahead of the clock count as now', () => {
    const nowMs = 1_000_000_000_000;
    const set = new BatchSet({ partitionsOf: () => 1, nowMs: () => nowMs });
    const half = 30 * 60_000;
    for (const timestampMs of [nowMs + half, nowMs + half + 1, nowMs + half + 1, 1.5]) {
      set.push({ topic: 't', key: '1', value: '', timestampMs, headers: {} });
    }
    const times = contents(set)['t/0']?.map(({ timestampMs }) => timestampMs);
    expect(times).toEqual([nowMs + half, nowMs, nowMs, 1]);
  });

  test('keep their headers to the byte', () => {
    const headers = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }));
    fc.assert(
      fc.property(headers, (given) => {
        expect(decodeHeaders(encodeHeaders(given))).toEqual({ ...given });
      }),
    );
  });
});
