import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { PendingResync } from '../../src/capture/checkpoint.ts';
import { PublishQueue } from '../../src/capture/publish-queue.ts';
import { systemClock } from '../../src/model/clock.ts';
import type { SourcePosition } from '../../src/source/port.ts';
import {
  BUFFER_BYTES_HIGH,
  BUFFER_BYTES_LOW,
  ChangeBuffer,
} from '../../src/source/mysql/transactions/change-buffer.ts';
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
  let ended = 0;
  const position = (): SourcePosition => ({ saved: { ended }, label: String(ended) });
  const buffer = new ChangeBuffer({
    newBatch: () => new MessageList(),
    onEnds: () => undefined,
    position,
    onFull: () => events.push('full'),
    onRoom: () => events.push('room'),
  });
  const queue = new PublishQueue({
    publisher: {
      batch: () => new MessageList(),
      publish: async (messages, checkpoint) => {
        const now = {
          values: listed(messages).map(({ value }) => value),
          checkpoint: checkpoint === undefined ? undefined : savedIn(checkpoint.value),
        };
        await publish(now);
        published.push(now);
      },
      loadCheckpoint: () => Promise.resolve(null),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    source: 's',
    start: position(),
    pending: () => pending,
    onPublished: () => undefined,
    onFailed: () => buffer.close(),
    clock: systemClock,
    signal: new AbortController().signal,
  });
  const iterator = {
    next: async () => {
      const value = await buffer.next();
      return value === undefined ? { done: true as const, value } : { done: false as const, value };
    },
  };
  let pending: PendingResync | null = null;
  const done = queue.run({ [Symbol.asyncIterator]: () => iterator }, (item) => {
    pending = { because: item.kind === 'gap' ? item.sentence : item.because, isAnew: false };
    events.push(item.kind);
  });
  done.catch(() => undefined);
  const add = (value: string, bytes = value.length): void =>
    buffer.add((to) => {
      to.push(message(value.padEnd(bytes)));
    });
  const end = (at: number): void =>
    buffer.mark(() => {
      ended = at;
    });
  const close = (): Promise<void> => {
    buffer.close();
    return done;
  };
  return { queue, buffer, published, events, add, end, done, close };
}

const savedIn = (checkpoint: string): string => {
  const { ended, everyone } = JSON.parse(checkpoint) as { ended: number; everyone?: string };
  return everyone === undefined ? String(ended) : `${ended} ${everyone}`;
};

describe('the publish queue', () => {
  test('publishes at once when idle', async () => {
    const { published, add, close } = queueWith(() => Promise.resolve());
    await sleep(5);
    add('a');
    await sleep(1);
    expect(published.map(({ values }) => values)).toEqual([['a']]);
    await close();
  });

  test('gathers while a publish is under way, one after the other and in order', async () => {
    let underWay = 0;
    const { published, add, close } = queueWith(async () => {
      underWay += 1;
      expect(underWay).toBe(1);
      await sleep(5);
      underWay -= 1;
    });
    for (let i = 0; i < 100; i += 1) {
      add(String(i));
      if (i % 10 === 0) await sleep(1);
    }
    await close();
    expect(published.flatMap(({ values }) => values)).toEqual(
      Array.from({ length: 100 }, (_, i) => String(i)),
    );
    expect(published.length).toBeLessThan(60);
  });

  test('never saves a position before all up to it was published', async () => {
    const random = randomFrom(SEED);
    const { published, add, end, close } = queueWith(() => sleep(random() * 3));
    for (let i = 1; i <= 300; i += 1) {
      add(`${i}`, 5_000);
      end(i);
      if (i % 7 === 0) await sleep(2);
    }
    await close();
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

  test('saves the position soon though no message comes, and not for every transaction', async () => {
    const { published, end, close } = queueWith(() => Promise.resolve());
    for (let i = 1; i <= 50; i += 1) {
      end(i);
      await sleep(1);
    }
    await sleep(300);
    expect(published.at(-1)?.checkpoint).toBe('50');
    expect(published.length).toBeLessThan(10);
    await close();
  });

  test('says when it is full, and when there is room again', async () => {
    const gate = Promise.withResolvers<void>();
    const { buffer, events, add, close } = queueWith(() => gate.promise);
    const each = 1024 * 1024;
    for (let bytes = 0; bytes <= BUFFER_BYTES_HIGH; bytes += each) add('x', each);
    expect(events).toEqual(['full']);
    expect(buffer.isFull).toBe(true);
    gate.resolve();
    await close();
    expect(events).toEqual(['full', 'room']);
    expect(buffer.bytes).toBe(0);
    expect(BUFFER_BYTES_LOW).toBeLessThan(BUFFER_BYTES_HIGH);
  });

  test('fails with what publishing failed with, and publishes no more', async () => {
    const { published, add, close, done } = queueWith(() => Promise.reject(new Error('no broker')));
    add('a');
    await expect(done).rejects.toThrow('no broker');
    add('b');
    await expect(close()).rejects.toThrow('no broker');
    expect(published).toEqual([]);
  });

  // Guards the order of ChangeBuffer.#take: a crash after it would skip what is owed.
  test('saves no position past what asks for a resync before that is owed', async () => {
    const gate = Promise.withResolvers<void>();
    const { published, buffer, add, end, close } = queueWith(() => gate.promise);
    add('a');
    end(1);
    await sleep(5);
    buffer.resync('a definition');
    end(2);
    gate.resolve();
    await sleep(300);
    await close();
    expect(published.map(({ checkpoint }) => checkpoint).filter(Boolean)).toEqual([
      '1',
      '2 a definition',
    ]);
  });

  test('says where it would go on, and publishes beside the items', async () => {
    const { queue, published, end, close } = queueWith(() => Promise.resolve());
    const looks = queue.publish((to) => to.push(message('look')));
    expect(queue.bytes).toBeGreaterThan(0);
    await looks;
    expect([queue.bytes, queue.position.label]).toEqual([0, '0']);
    end(7);
    await close();
    expect(queue.position.label).toBe('7');
    expect(published.map(({ values }) => values)).toEqual([['look'], []]);
  });

  // Guards #failure: while no item comes, nothing else would end capture.
  test('fails with what publishing beside the items failed with', async () => {
    const { queue, done } = queueWith(() => Promise.reject(new Error('no broker')));
    await expect(queue.publish((to) => to.push(message('look')))).rejects.toThrow('no broker');
    await expect(done).rejects.toThrow('no broker');
  });
});
