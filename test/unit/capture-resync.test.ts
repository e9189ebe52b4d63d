import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { RowMessages } from '../../src/capture/messages.ts';
import { Resync } from '../../src/capture/resync.ts';
import { systemClock } from '../../src/model/clock.ts';
import { topicNames } from '../../src/topics/names.ts';
import { MessageList } from '../../src/topics/message-list.ts';

function looking(refresh: () => Promise<void> = () => Promise.resolve()) {
  const list = new MessageList();
  const { messages } = list;
  const stopping = new AbortController();
  let saves = 0;
  const resync = new Resync({
    eligibleUserIds: async function* () {
      yield await Promise.resolve([1, 2]);
    },
    encoder: new RowMessages(topicNames('views')),
    publish: (fill) => Promise.resolve(fill(list)),
    refresh,
    onSettled: () => (saves += 1),
    onError: () => undefined,
    clock: systemClock,
    signal: stopping.signal,
  });
  return {
    resync,
    messages,
    saves: () => saves,
    [Symbol.dispose]: () => stopping.abort(),
  };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(10);
}

describe('a look at everyone', { timeout: 60_000 }, () => {
  // Guards SETTLING_MS_MAX: a table that changes all the time would put it off for ever.
  test.concurrent('is made though what asks for it never stops', async () => {
    using looks = looking();
    while (looks.messages.length === 0) {
      looks.resync.request('a cascade');
      await sleep(50);
    }
    expect(looks.messages.map(({ key }) => key)).toEqual(['1', '2']);
  });

  // Guards the order of refresh and publish: a foreign key made before the look is known by then.
  test.concurrent(
    'begins once the tables were read anew, and is owed until it was made',
    async () => {
      let tries = 0;
      using looks = looking(() => {
        expect(looks.messages).toEqual([]);
        tries += 1;
        return tries < 2 ? Promise.reject(new Error('away')) : Promise.resolve();
      });
      looks.resync.request('a definition');
      expect(looks.resync.pending).toEqual({ because: 'a definition', isAnew: false });
      await until(() => tries === 1);
      expect(looks.resync.pending).toEqual({ because: 'a definition', isAnew: false });
      await looks.resync.settled();
      expect(looks.resync.pending).toBeNull();
      expect(looks.saves()).toBe(1);
      expect(looks.messages.map(({ key }) => key)).toEqual(['1', '2']);
    },
  );

  test.concurrent('that is asked for while one is made is made after it', async () => {
    let refreshes = 0;
    using looks = looking(() => {
      refreshes += 1;
      if (refreshes === 1) looks.resync.request('another');
      return Promise.resolve();
    });
    looks.resync.request('one');
    await looks.resync.settled();
    expect(looks.messages).toHaveLength(4);
    expect(looks.resync.pending).toBeNull();
  });

  // Guards `isAnew`: a position past changes that are missing would be gone on from.
  test('that begins anew is owed whatever is asked for after it', async () => {
    using looks = looking();
    looks.resync.requestAnew('a lost log');
    looks.resync.request('a definition');
    await until(() => looks.messages.length === 2);
    expect(looks.resync.pending).toEqual({ because: 'a lost log', isAnew: true });
  });
});
