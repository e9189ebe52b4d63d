import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  PublishQueue,
  QUEUE_BYTES_HIGH,
  QUEUE_BYTES_LOW,
} from '../../src/capture/publish-queue.ts';
import { MessageList } from '../../src/topics/message-list.ts';
import type { OutgoingMessage } from '../../src/topics/port.ts';
import { listed } from '../support/listed.ts';
import { SEED } from '../support/extent.ts';
import { randomFrom } from '../support/workload.ts';

interface Published {
  values: string[];
  checkpoint: string | undefined;
}

const message = (value: string): OutgoingMessage => ({
  topic: 't',
  key: 'k',
  value,
  timestampMs: 0,
  headers: {},
});

function queueWith(publish: (published: Published) => Promise<void>) {
  const published: Published[] = [];
  const events: string[] = [];
  let place = 0;
  const queue = new PublishQueue({
    publisher: {
      batch: () => new MessageList(),
      publish: async (messages, checkpoint) => {
        const now = {
          values: listed(messages).map(({ value }) => value),
          checkpoint: checkpoint?.value,
        };
        await publish(now);
        published.push(now);
      },
      loadCheckpoint: () => Promise.resolve(null),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    source: 's',
    checkpoint: () => String(place),
    onEnds: () => undefined,
    onFull: () => events.push('full'),
    onRoom: () => events.push('room'),
    onPublished: () => undefined,
    signal: new AbortController().signal,
  });
  const add = (value: string, bytes = value.length): void =>
    queue.add((to) => {
      to.push(message(value.padEnd(bytes)));
    });
  const end = (at: number): void =>
    queue.mark(() => {
      place = at;
    });
  return { queue, published, events, add, end };
}

describe('the publish queue', () => {
  test('publishes at once when idle', async () => {
    const { queue, published, add } = queueWith(() => Promise.resolve());
    await sleep(5);
    add('a');
    await sleep(1);
    expect(published.map(({ values }) => values)).toEqual([['a']]);
    await queue.close();
  });

  test('gathers while a publish is under way, one after the other and in order', async () => {
    let underWay = 0;
    const { queue, published, add } = queueWith(async () => {
      underWay += 1;
      expect(underWay).toBe(1);
      await sleep(5);
      underWay -= 1;
    });
    for (let i = 0; i < 100; i += 1) {
      add(String(i));
      if (i % 10 === 0) await sleep(1);
    }
    await queue.close();
    expect(published.flatMap(({ values }) => values)).toEqual(
      Array.from({ length: 100 }, (_, i) => String(i)),
    );
    expect(published.length).toBeLessThan(60);
  });

  test('never saves a place before all up to it was published', async () => {
    const random = randomFrom(SEED);
    const { queue, published, add, end } = queueWith(() => sleep(random() * 3));
    for (let i = 1; i <= 300; i += 1) {
      add(`${i}`, 5_000);
      end(i);
      if (i % 7 === 0) await sleep(2);
    }
    await queue.close();
    let reached = 0;
    let checkpoints = 0;
    for (const { values, checkpoint } of published) {
      reached = Math.max(reached, ...values.map(Number));
      if (checkpoint === undefined) continue;
      checkpoints += 1;
      expect(Number(checkpoint)).toBeLessThanOrEqual(reached);
    }
    expect(checkpoints).toBeGreaterThan(1);
    expect(published.at(-1)?.checkpoint).toBe('300');
  });

  test('saves the place soon though no message comes, and not for every transaction', async () => {
    const { queue, published, end } = queueWith(() => Promise.resolve());
    for (let i = 1; i <= 50; i += 1) {
      end(i);
      await sleep(1);
    }
    await sleep(300);
    expect(published.at(-1)?.checkpoint).toBe('50');
    expect(published.length).toBeLessThan(10);
    await queue.close();
  });

  test('says when it is full, and when there is room again', async () => {
    const gate = Promise.withResolvers<void>();
    const { queue, events, add } = queueWith(() => gate.promise);
    const each = 1024 * 1024;
    for (let bytes = 0; bytes <= QUEUE_BYTES_HIGH; bytes += each) add('x', each);
    expect(events).toEqual(['full']);
    expect(queue.isFull).toBe(true);
    gate.resolve();
    await queue.close();
    expect(events).toEqual(['full', 'room']);
    expect(queue.bytes).toBe(0);
    expect(QUEUE_BYTES_LOW).toBeLessThan(QUEUE_BYTES_HIGH);
  });

  test('fails with what publishing failed with, and publishes no more', async () => {
    const { queue, published, add } = queueWith(() => Promise.reject(new Error('no broker')));
    add('a');
    await expect(queue.done).rejects.toThrow('no broker');
    add('b');
    await expect(queue.close()).rejects.toThrow('no broker');
    expect(published).toEqual([]);
  });
});
