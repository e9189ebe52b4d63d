import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { notOutlivingUs } from '../../tools/services/server-process.ts';
import { until } from '../support/program.ts';
import { freshTopicPrefix } from '../support/services.ts';
import type { TopicOffset } from '../../src/topics/port.ts';
import {
  Reader,
  letter,
  lettersOf,
  message,
  open,
  readAll,
  settingsFor,
} from '../support/topics.ts';

const WRITER = new URL('../support/topics-writer.ts', import.meta.url).pathname;

describe.each(['embedded', 'Kafka', 'memory'] as const)('%s topics', (kind) => {
  it('keep the order of a key, the bytes, the headers and the time', async () => {
    await using topics = await open(settingsFor(kind));
    const { pageViews } = topics.names;
    await using publisher = await topics.publisher();
    const odd = ['{"a":"😀\\u0000"}', '{"__proto__":1}', 'x'.repeat(65_536)];
    for (let i = 0; i < 50; i++) {
      await publisher.publish([message(pageViews, i % 5, `${i}`, 1_700_000_000_000 + i)]);
    }
    await publisher.publish(odd.map((value) => message(pageViews, 99, value)));
    const all = await readAll(topics, await topics.bounds([pageViews]));
    for (let key = 0; key < 5; key++) {
      const values = all.filter((one) => one.key === String(key)).map(({ value }) => Number(value));
      expect(values).toEqual(Array.from({ length: 10 }, (_, i) => i * 5 + key));
    }
    expect(all.filter(({ key }) => key === '99').map(({ value }) => value)).toEqual(odd);
    expect(all.find(({ value }) => value === '7')).toMatchObject({
      timestampMs: 1_700_000_000_007,
      headers: { schema: 'test/1' },
    });
  });

  it('go on at the committed offset after a restart, and give again what was not committed', async () => {
    const settings = settingsFor(kind);
    const group = freshTopicPrefix();
    {
      await using topics = await open(settings);
      await using publisher = await topics.publisher();
      await publisher.publish(
        Array.from({ length: 20 }, (_, i) => message(topics.names.pageViews, 1, `${i}`)),
      );
      const reader = await new Reader().join(topics, group);
      await until('all are there', () => Promise.resolve(reader.received.length === 20));
      expect((await reader.member?.lag())?.get(topics.names.pageViews)).toBe(20);
      const tenth = reader.received[9];
      await reader.member?.commit([
        { topic: tenth!.topic, partition: tenth!.partition, offset: tenth!.offset + 1 },
      ]);
      await reader.leave();
    }
    await using topics = await open(settings);
    const reader = await new Reader().join(topics, group);
    await until('the rest is there', () => Promise.resolve(reader.received.length === 10));
    expect(reader.values()).toEqual(Array.from({ length: 10 }, (_, i) => String(i + 10)));
    await until(
      'the lag is known',
      async () => (await reader.member?.lag())?.get(topics.names.pageViews) === 10,
    );
    await reader.leave();
  });

  it('tell of offsets that were saved with another mark until they are committed again', async () => {
    await using topics = await open(settingsFor(kind));
    await using publisher = await topics.publisher();
    const { pageViews, userChanges } = topics.names;
    const group = freshTopicPrefix();
    const keys = Array.from({ length: 40 }, (_, i) => message(pageViews, i, 'x'));
    await publisher.publish(keys);
    const ends = await topics.bounds([pageViews]);
    // What a version without marks has saved; nothing of user changes.
    const early = await new Reader().join(topics, group);
    await until('all are there', () => Promise.resolve(early.received.length === 40));
    await early.member?.commit(ends.map((at) => ({ ...at, offset: at.end })));
    await early.leave();
    const places = ends.map(({ topic, partition, end }) => ({ topic, partition, offset: end }));
    const sorted = (marked: readonly TopicOffset[]): TopicOffset[] =>
      marked
        .filter(({ topic }) => topic === pageViews)
        .toSorted((a, b) => a.partition - b.partition);
    const other = await new Reader().join(topics, group, 'a');
    await until('it is told of them', () => Promise.resolve(other.marked.length > 0));
    expect(sorted(other.marked)).toEqual(places);
    const [first, ...rest] = places;
    await other.member?.commit([first!]);
    await other.leave();
    const again = await new Reader().join(topics, group, 'a');
    await until('it is told of the others', () => Promise.resolve(again.marked.length > 0));
    expect(sorted(again.marked)).toEqual(rest);
    await again.member?.commit([...rest, ...again.marked]);
    await again.leave();
    const same = await new Reader().join(topics, group, 'a');
    await publisher.publish([message(userChanges, 1, 'last')]);
    await until('it has read on', () => Promise.resolve(same.values().includes('last')));
    expect(same.marked).toEqual([]);
    await same.leave();
    // A group that has saved nothing has nothing of another rule, and keeps the mark from then on.
    const fresh = await new Reader().join(topics, `${group}-fresh`, 'a');
    await until('it reads', () => Promise.resolve(fresh.received.length > 0));
    await fresh.leave();
    expect(fresh.marked).toEqual([]);
    const changed = await new Reader().join(topics, `${group}-fresh`, 'b');
    await until('it is told of all', () => Promise.resolve(changed.marked.length === 12));
    await changed.leave();
  });

  it('hand a message to a member of the same process within a moment', async () => {
    await using topics = await open(settingsFor(kind));
    await using publisher = await topics.publisher();
    const reader = await new Reader().join(topics, freshTopicPrefix());
    await until('it is assigned', () => Promise.resolve(reader.assignments.length > 0));
    expect(reader.assignments.at(-1)?.share).toBe(1);
    await publisher.publish([message(topics.names.userChanges, 7, 'now')]);
    await until(
      'the message is there',
      () => Promise.resolve(reader.values().includes('now')),
      5_000,
    );
    await reader.leave();
  });

  it('hold back while a member is not ready for more', async () => {
    await using topics = await open(settingsFor(kind));
    await using publisher = await topics.publisher();
    const reader = new Reader();
    const gate = Promise.withResolvers<void>();
    reader.gate = gate.promise;
    await reader.join(topics, freshTopicPrefix());
    await publisher.publish([message(topics.names.pageViews, 1, 'first')]);
    await until('the first is there', () => Promise.resolve(reader.received.length === 1));
    await publisher.publish([message(topics.names.pageViews, 1, 'second')]);
    await sleep(700);
    expect(reader.values()).toEqual(['first']);
    gate.resolve();
    await until('the second is there', () => Promise.resolve(reader.received.length === 2));
    await reader.leave();
  });

  it('find an offset by time, and read a range by offsets', async () => {
    await using topics = await open(settingsFor(kind));
    const { pageViews } = topics.names;
    await using publisher = await topics.publisher();
    const times = [1000, 3000, 2000, 4000, 5000].map((time) => 1_700_000_000_000 + time);
    await publisher.publish(times.map((time, i) => message(pageViews, 1, `${i}`, time)));
    const bounds = await topics.bounds([pageViews]);
    const mine = bounds.find(({ end }) => end > 0)!;
    const at = async (ms: number): Promise<number | undefined> =>
      (await topics.offsetsAtTime(pageViews, 1_700_000_000_000 + ms)).find(
        ({ partition }) => partition === mine.partition,
      )?.offset;
    expect(await at(0)).toBe(0);
    expect(await at(2500)).toBe(1);
    expect(await at(3500)).toBe(3);
    expect(await at(9000)).toBe(5);
    const part = await readAll(topics, [{ ...mine, begin: 1, end: 3 }]);
    expect(part.map(({ value }) => value)).toEqual(['1', '2']);
    expect(await readAll(topics, [{ ...mine, begin: 5, end: 5 }])).toEqual([]);
  });

  it('save the checkpoint, and the last one counts', async () => {
    const settings = settingsFor(kind);
    {
      await using topics = await open(settings);
      await using publisher = await topics.publisher();
      expect(await publisher.loadCheckpoint('a')).toBeNull();
      for (const value of ['1', '2', '3']) await publisher.publish([], { source: 'a', value });
      await publisher.publish([message(topics.names.pageViews, 1, 'x')], {
        source: 'b',
        value: '9',
      });
    }
    await using topics = await open(settings);
    await using publisher = await topics.publisher();
    expect(await publisher.loadCheckpoint('a')).toBe('3');
    expect(await publisher.loadCheckpoint('b')).toBe('9');
  });

  it('keep dead letters until they are removed', async () => {
    const settings = settingsFor(kind);
    {
      await using topics = await open(settings);
      await topics.deadLetters.add([
        letter('b', '2026-01-02'),
        letter('a', '2026-01-01'),
        letter('c', '2026-01-03'),
      ]);
      await topics.deadLetters.add([letter('c', '2026-01-04', 'refused again')]);
      for await (const kept of topics.deadLetters.list()) {
        await topics.deadLetters.remove(kept.filter(({ letter }) => letter.id === 'a'));
      }
    }
    await using topics = await open(settings);
    const letters = await lettersOf(topics);
    expect(letters.map(({ id, reason }) => [id, reason])).toEqual([
      ['b', 'refused'],
      ['c', 'refused again'],
    ]);
  });
});

// What is in memory is in one process: test/unit/memory-topics.test.ts kills it there.
describe.each(['embedded', 'Kafka'] as const)('%s topics', (kind) => {
  it('have everything that was acknowledged to a writer that was killed with SIGKILL', async () => {
    const settings = settingsFor(kind);
    await using topics = await open(settings);
    const writing = [process.execPath, WRITER, JSON.stringify(settings)] as const;
    const [command, ...args] = notOutlivingUs(writing, 'KILL');
    const writer = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let acknowledged = 0;
    writer.stdout.on('data', (chunk: Buffer) => {
      acknowledged = Number(chunk.toString().trim().split('\n').at(-1));
    });
    await until('some are acknowledged', () => Promise.resolve(acknowledged > 200));
    writer.kill('SIGKILL');
    await new Promise((resolve) => writer.once('close', resolve));
    const all = await readAll(topics, await topics.bounds([topics.names.pageViews]));
    const there = new Set(all.map(({ value }) => Number(value)));
    for (let i = 0; i <= acknowledged; i++) expect(there.has(i)).toBe(true);
  });
});

describe('embedded topics', () => {
  it('give a key the partition that Kafka gives it', async () => {
    await using embedded = await open(settingsFor('embedded'));
    await using kafka = await open(settingsFor('Kafka'));
    await using memory = await open(settingsFor('memory'));
    const placed = await Promise.all(
      [embedded, kafka, memory].map(async (topics) => {
        await using publisher = await topics.publisher();
        await publisher.publish(
          Array.from({ length: 200 }, (_, i) => message(topics.names.pageViews, i * 7919, '')),
        );
        const all = await readAll(topics, await topics.bounds([topics.names.pageViews]));
        return Object.fromEntries(all.map(({ key, partition }) => [key, partition]));
      }),
    );
    expect(placed[0]).toEqual(placed[1]);
    expect(placed[2]).toEqual(placed[1]);
  });

  it('refuse a second member of a group, and name the way out', async () => {
    await using topics = await open(settingsFor('embedded'));
    const reader = await new Reader().join(topics, 'group');
    await expect((async () => new Reader().join(topics, 'group'))()).rejects.toThrow(/STATE_DIR/);
    await reader.leave();
    const next = await new Reader().join(topics, 'group');
    await next.leave();
  });
});

describe.concurrent.each(['Kafka', 'memory'] as const)('%s topics', (kind) => {
  it('share the partitions between members, the same of both topics, and give them back', async () => {
    await using topics = await open(settingsFor(kind));
    const group = freshTopicPrefix();
    const first = await new Reader().join(topics, group);
    await until('the first has all', () => Promise.resolve(first.assignments.at(-1)?.share === 1));
    const second = await new Reader().join(topics, group);
    await until('they share', () =>
      Promise.resolve(
        first.assignments.at(-1)?.share === 0.5 && second.assignments.at(-1)?.share === 0.5,
      ),
    );
    for (const { assignments } of [first, second]) {
      const of = (topic: string): number[] =>
        (assignments.at(-1)?.partitions ?? [])
          .filter((one) => one.topic === topic)
          .map(({ partition }) => partition)
          .toSorted((a, b) => a - b);
      expect(of(topics.names.pageViews)).toEqual(of(topics.names.userChanges));
      expect(of(topics.names.pageViews)).toHaveLength(3);
    }
    await second.leave();
    await until('the first has all again', () =>
      Promise.resolve(first.assignments.at(-1)?.share === 1),
    );
    await first.leave();
  });

  it('keep a member in the group for longer than its session while it is not ready for more', async () => {
    await using topics = await open(settingsFor(kind));
    await using publisher = await topics.publisher();
    const reader = new Reader();
    const gate = Promise.withResolvers<void>();
    reader.gate = gate.promise;
    await reader.join(topics, freshTopicPrefix());
    await publisher.publish([message(topics.names.pageViews, 1, 'first')]);
    await until('the first is there', () => Promise.resolve(reader.received.length === 1));
    // A topic that was just made may make it join twice before that.
    const assignments = reader.assignments.length;
    await sleep(12_000);
    gate.resolve();
    await publisher.publish([message(topics.names.pageViews, 1, 'second')]);
    await until('the second is there', () => Promise.resolve(reader.values().includes('second')));
    expect(reader.assignments).toHaveLength(assignments);
    await reader.leave();
  });
});

describe.concurrent('Kafka topics', () => {
  it('that cannot be reached are said to be so, with what to check', async () => {
    const settings = settingsFor('Kafka');
    const away = {
      ...settings,
      kafka: { brokers: ['127.0.0.1:1'], clientId: 'test', ssl: false, sasl: null },
    };
    await expect(open(away)).rejects.toThrow(/cannot be reached.*KAFKA_BROKERS/);
  });
});
