import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { ReceivedMessage, Topics } from '../../src/topics/port.ts';
import { message } from './topics.ts';

const KEYS = 997;

/** Publishes 0, 1, 2 … until it is told to stop; what counts was acknowledged. */
export function publishing(topics: Topics, rows: number, pauseMs: number) {
  const state = { acknowledged: 0, isStopped: false };
  const done = (async () => {
    await using publisher = await topics.publisher();
    while (!state.isStopped) {
      const from = state.acknowledged;
      const some = Array.from({ length: rows }, (_, i) =>
        message(topics.names.pageViews, (from + i) % KEYS, `${from + i}`),
      );
      await publisher.publish(some, { source: 'a', value: `${from + rows}` });
      state.acknowledged += rows;
      await sleep(pauseMs);
    }
    expect(await publisher.loadCheckpoint('a')).toBe(`${state.acknowledged}`);
  })();
  done.catch(() => undefined);
  const stop = async (): Promise<number> => {
    state.isStopped = true;
    await done;
    return state.acknowledged;
  };
  return { state, stop };
}

/** What is not in the topic, and how many messages came in another order than that of their key. */
export async function judged(topics: Topics, acknowledged: number) {
  const seen = new Uint8Array(acknowledged);
  const newest = new Map<string, number>();
  let disordered = 0;
  let repeats = 0;
  const look = ({ key, value }: ReceivedMessage): void => {
    const number = Number(value);
    if (seen[number] === 1) repeats += 1;
    else if (number < (newest.get(key ?? '') ?? -1)) disordered += 1;
    seen[number] = 1;
    newest.set(key ?? '', Math.max(number, newest.get(key ?? '') ?? -1));
  };
  const bounds = await topics.bounds([topics.names.pageViews]);
  for await (const messages of topics.read(bounds, new AbortController().signal)) {
    for (const one of messages) look(one);
  }
  const missing = [...seen.keys()].filter((number) => seen[number] !== 1);
  return { missing: missing.slice(0, 20), missingCount: missing.length, disordered, repeats };
}
