import { describe, expect, it } from 'vitest';
import { RetriedLetters } from '../../src/commands/retried-letters.ts';
import type { KeptLetter } from '../../src/topics/port.ts';
import { letter } from '../support/topics.ts';

const kept = (id: string): KeptLetter => ({ letter: letter(id, '2026-01-01'), version: `v-${id}` });
const ids = (letters: readonly KeptLetter[]) => letters.map((one) => one.letter.id);

describe('dead letters that are retried', () => {
  it('are removed as they are done, one removal at a time', async () => {
    const removals: string[][] = [];
    const gate = Promise.withResolvers<void>();
    const retried = new RetriedLetters(async (letters) => {
      removals.push(ids(letters));
      await gate.promise;
    });
    for (const user of ['1', '2', '3', '4']) retried.begin(user);
    retried.finish('1', kept('a'), false);
    expect(removals).toEqual([['a']]);
    retried.finish('2', kept('b'), false);
    retried.finish('3', kept('c'), false);
    expect(removals).toHaveLength(1);
    gate.resolve();
    await retried.removed();
    expect(removals).toEqual([['a'], ['b', 'c']]);
    expect(retried.finished).toBe(3);
  });

  it('stay, all of the user, where one is refused again', async () => {
    const removed: string[] = [];
    const retried = new RetriedLetters((letters) => {
      removed.push(...ids(letters));
      return Promise.resolve();
    });
    for (const user of ['1', '1', '2']) retried.begin(user);
    retried.finish('1', kept('a'), false);
    retried.finish('2', kept('c'), false);
    retried.finish('1', kept('b'), true);
    await retried.removed();
    expect(removed).toEqual(['c']);
  });

  it('tell of a removal that failed', async () => {
    const retried = new RetriedLetters(() => Promise.reject(new Error('it is away')));
    retried.begin('1');
    retried.finish('1', kept('a'), false);
    await expect(retried.removed()).rejects.toThrow('it is away');
  });
});
