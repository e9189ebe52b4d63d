import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SEED } from '../support/extent.ts';
import { type Outcome, Story } from '../support/memory-story.ts';

const SEEDS = 15;

const told = (seed: number, losesMessages = true): Promise<Outcome> =>
  new Story(seed, losesMessages).run();

const digest = ({ story }: Outcome): string =>
  createHash('sha256').update(story.join('\n')).digest('hex');

describe('a story of topics in memory', () => {
  it('is the same each time for one seed, to the letter, and another for another', async () => {
    const [first, again, other] = [await told(SEED), await told(SEED), await told(SEED + 1)];
    expect(first.story.length).toBeGreaterThan(200);
    expect(again.story).toEqual(first.story);
    expect(digest(other)).not.toBe(digest(first));
  });

  it.each([false, true])(
    'has no hole and no disorder at its end, whatever went wrong (messages are lost: %s)',
    async (losesMessages) => {
      for (let seed = SEED; seed < SEED + SEEDS; seed++) {
        const { acknowledged, holes, disordered, lag } = await told(seed, losesMessages);
        expect({ seed, holes, disordered, lag }).toEqual({
          seed,
          holes: [],
          disordered: [],
          lag: 0,
        });
        expect(acknowledged).toBeGreaterThan(200);
      }
    },
  );
});
