import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Everyone } from '../../src/capture/resync.ts';
import { MessageList } from '../../src/topics/message-list.ts';

function looking(refresh: () => Promise<void> = () => Promise.resolve()) {
  const list = new MessageList();
  const { messages } = list;
  const stopping = new AbortController();
  const everyone = new Everyone({
    userChanges: 'changes',
    eligibleUserIds: async function* () {
      yield await Promise.resolve([1, 2]);
    },
    refresh,
    queue: {
      add: (fill) => fill(list),
      mark: (action) => action(),
      isFull: false,
    },
    onError: () => undefined,
    signal: stopping.signal,
  });
  return { everyone, messages, [Symbol.dispose]: () => stopping.abort() };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(10);
}

describe('a look at everyone', { timeout: 60_000 }, () => {
  // Guards SETTLING_MS_MAX: a table that changes all the time would put it off for ever.
  test.concurrent('is made though what asks for it never stops', async () => {
    using looks = looking();
    while (looks.messages.length === 0) {
      looks.everyone.ask('a cascade');
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
      looks.everyone.ask('a definition');
      expect(looks.everyone.because).toBe('a definition');
      await until(() => tries === 1);
      expect(looks.everyone.because).toBe('a definition');
      await until(() => looks.everyone.because === null);
      expect(looks.messages.map(({ key }) => key)).toEqual(['1', '2']);
    },
  );

  test.concurrent('that is asked for while one is made is made after it', async () => {
    let refreshes = 0;
    using looks = looking(() => {
      refreshes += 1;
      if (refreshes === 1) looks.everyone.ask('another');
      return Promise.resolve();
    });
    looks.everyone.ask('one');
    await until(() => looks.messages.length === 4);
    expect(looks.everyone.because).toBeNull();
  });
});
