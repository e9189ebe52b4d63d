import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { KeptLetter, PartitionBounds, Topics } from '../../src/topics/port.ts';
import { until } from '../support/program.ts';
import { freshTopicPrefix } from '../support/services.ts';
import {
  Reader,
  letter,
  lettersOf,
  message,
  open,
  readAll,
  settingsFor,
} from '../support/topics.ts';

const T = 1_700_000_000_000;

async function boundsOfKey(topics: Topics): Promise<PartitionBounds> {
  const all = await topics.bounds([topics.names.pageViews]);
  expect(all).toHaveLength(6);
  return all.find(({ end }) => end > 0)!;
}

describe.each(['embedded', 'Kafka', 'memory'] as const)('%s topics', (kind) => {
  it('keep any key, value and header as it was', async () => {
    await using topics = await open(settingsFor(kind));
    await using publisher = await topics.publisher();
    const odd = ['null', '', '__proto__', 'constructor', '\u0000', '😀', 'é', '"', '\\', '\n'];
    const sent = odd.map((text, i) => ({
      topic: topics.names.pageViews,
      key: text,
      value: text.repeat(3),
      timestampMs: T + i,
      headers: { schema: text, position: `${text}:4` },
    }));
    await publisher.publish(sent);
    const all = await readAll(topics, await topics.bounds([topics.names.pageViews]));
    const byTime = all.toSorted((a, b) => a.timestampMs - b.timestampMs);
    const read = byTime.map(({ topic, key, value, timestampMs, headers }) => {
      return { topic, key, value, timestampMs, headers };
    });
    expect(read).toEqual(sent);
  });

  it('count the offsets of a partition from 0 without a gap', async () => {
    await using topics = await open(settingsFor(kind));
    await using publisher = await topics.publisher();
    for (let batch = 0; batch < 5; batch++) {
      await publisher.publish(
        Array.from({ length: 40 }, (_, i) => message(topics.names.pageViews, i, `${batch}`)),
      );
    }
    const bounds = await topics.bounds([topics.names.pageViews]);
    const all = await readAll(topics, bounds);
    expect(all).toHaveLength(200);
    for (const { partition, begin, end } of bounds) {
      const offsets = all.filter((one) => one.partition === partition).map((one) => one.offset);
      expect(begin).toBe(0);
      expect(offsets).toEqual(Array.from({ length: end }, (_, i) => i));
    }
  });

  it('answer for a time before the begin, between and after the end, and for what is empty', async () => {
    await using topics = await open(settingsFor(kind));
    const { pageViews, userChanges } = topics.names;
    await using publisher = await topics.publisher();
    const times = [5, 3, 9, 9, 4, 12];
    for (const time of times) await publisher.publish([message(pageViews, 1, `${time}`, T + time)]);
    const { partition } = await boundsOfKey(topics);
    // Kafka's meaning: the first, by offset, whose own time is not before the one asked for.
    for (let time = 0; time <= 14; time++) {
      const first = times.findIndex((one) => one >= time);
      const found = await topics.offsetsAtTime(pageViews, T + time);
      expect(found).toHaveLength(6);
      expect(found.find((one) => one.partition === partition)?.offset).toBe(
        first < 0 ? times.length : first,
      );
    }
    const empty = await topics.offsetsAtTime(userChanges, 0);
    expect(empty.map(({ offset }) => offset)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('read a range of several batches whole, and nothing after its end', async () => {
    await using topics = await open(settingsFor(kind));
    await using publisher = await topics.publisher();
    const { pageViews } = topics.names;
    const batch = (n: number) =>
      Array.from({ length: 2_500 }, (_, i) => message(pageViews, 1, `${n * 2_500 + i}`));
    await publisher.publish(batch(0));
    await publisher.publish(batch(1));
    const range = { ...(await boundsOfKey(topics)), begin: 10, end: 4_990 };
    await publisher.publish(batch(2));
    const values = (await readAll(topics, [range])).map(({ value }) => Number(value));
    expect(values).toEqual(Array.from({ length: 4_980 }, (_, i) => i + 10));
  });

  // Some 3 MB in one partition: more than a broker takes at once (KafkaPublisher splits it).
  it('end a read at once when its signal aborts', async () => {
    await using topics = await open(settingsFor(kind));
    await using publisher = await topics.publisher();
    const { pageViews } = topics.names;
    await publisher.publish(
      Array.from({ length: 3_000 }, (_, i) => message(pageViews, 1, `${i}`.repeat(300))),
    );
    const stop = new AbortController();
    let batches = 0;
    for await (const _ of topics.read([await boundsOfKey(topics)], stop.signal)) {
      batches += 1;
      stop.abort();
    }
    expect(batches).toBe(1);
  });

  it('leave what a group has committed alone when a range is read', async () => {
    await using topics = await open(settingsFor(kind));
    await using publisher = await topics.publisher();
    const group = freshTopicPrefix();
    await publisher.publish([message(topics.names.pageViews, 1, 'a')]);
    await readAll(topics, [await boundsOfKey(topics)]);
    const reader = await new Reader().join(topics, group);
    await until('the group has it', () => Promise.resolve(reader.values().includes('a')));
    await reader.leave();
  });

  it('keep the offsets of two groups apart', async () => {
    await using topics = await open(settingsFor(kind));
    await using publisher = await topics.publisher();
    await publisher.publish([message(topics.names.pageViews, 1, 'a')]);
    const readers = [new Reader(), new Reader()];
    for (const reader of readers) await reader.join(topics, freshTopicPrefix());
    await until('both have it', () =>
      Promise.resolve(readers.every((reader) => reader.values().includes('a'))),
    );
    const [first, second] = readers;
    const { topic, partition, offset } = first!.received[0]!;
    await first!.member!.commit([{ topic, partition, offset: offset + 1 }]);
    await sleep(1_100); // The lag may be a second old.
    expect((await first!.member!.lag()).get(topic)).toBe(0);
    expect((await second!.member!.lag()).get(topic)).toBe(1);
    for (const reader of readers) await reader.leave();
  });

  it('take a dead letter whole, and show it to another process', async () => {
    const settings = settingsFor(kind);
    await using topics = await open(settings);
    await using other = await open(settings);
    const source = { topic: topics.names.pageViews, partition: 2, offset: 7 };
    const whole = { ...letter('__proto__', '2026-01-01', '😀 "refused"'), status: null, source };
    await topics.deadLetters.add([whole]);
    expect(await lettersOf(other)).toEqual([whole]);
    for await (const kept of other.deadLetters.list()) await other.deadLetters.remove(kept);
    expect(await lettersOf(topics)).toEqual([]);
  });

  it('keep a dead letter that was written again after it was read, whoever removes the one that was', async () => {
    await using topics = await open(settingsFor(kind));
    const { deadLetters } = topics;
    await deadLetters.add([letter('a', '2026-01-01'), letter('b', '2026-01-01')]);
    const read: KeptLetter[] = [];
    for await (const kept of deadLetters.list()) read.push(...kept);
    await deadLetters.add([letter('a', '2026-01-02', 'refused again')]);
    await deadLetters.remove(read);
    await deadLetters.remove(read);
    expect(await lettersOf(topics)).toEqual([letter('a', '2026-01-02', 'refused again')]);
    expect(await deadLetters.count()).toBe(1);
    for await (const kept of deadLetters.list()) await deadLetters.remove(kept);
    expect(await lettersOf(topics)).toEqual([]);
    expect(await deadLetters.count()).toBe(0);
  });

  it('list dead letters a part at a time, without those that come meanwhile', async () => {
    await using topics = await open(settingsFor(kind));
    const { deadLetters } = topics;
    const long = 'x'.repeat(2_000);
    const all = Array.from({ length: 3_000 }, (_, i) => letter(`l-${i}`, '2026-01-01', long));
    await deadLetters.add(all);
    const ids: string[] = [];
    let parts = 0;
    for await (const kept of deadLetters.list()) {
      ids.push(...kept.map((one) => one.letter.id));
      await deadLetters.add([letter(`later-${parts}`, '2026-01-02')]);
      parts += 1;
    }
    expect(ids).toEqual(all.map(({ id }) => id));
    expect(parts).toBeGreaterThan(3);
    expect(await deadLetters.count()).toBe(3_000 + parts);
  });

  it('can be made by two at the same time', async () => {
    const settings = settingsFor(kind);
    const both = await Promise.all([open(settings), open(settings)]);
    const bounds = await both[0].bounds([both[0].names.pageViews, both[0].names.userChanges]);
    expect(bounds).toHaveLength(12);
    for (const topics of both) await topics[Symbol.asyncDispose]();
  });
});
