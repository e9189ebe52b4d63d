import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { CommandContext } from '../../src/commands/context.ts';
import { lazyDeadLetters } from '../../src/commands/lazy-dead-letters.ts';
import { Outages } from '../../src/observe/outages.ts';
import { openTopics } from '../../src/topics/open.ts';
import { letter, lettersOf } from '../support/topics.ts';

describe('lazyDeadLetters', () => {
  // Guards `opening = null`: one failure would lose every later refusal of a backfill.
  it('opens the topics again after they could not be', async () => {
    const blocked = join(mkdtempSync(join(tmpdir(), 'lazy-')), 'state');
    writeFileSync(blocked, 'a file where the folder should be');
    const logger = pino({ level: 'silent' });
    const outages = new Outages(logger);
    const topics = { kafka: null, topic: 'page_views', partitions: 6, stateDir: blocked };
    await using lazy = lazyDeadLetters({ settings: { topics }, logger, outages } as CommandContext);
    const kept = letter('page-view-1', new Date().toISOString());
    await expect(lazy.add([kept])).rejects.toThrow(blocked);
    rmSync(blocked);
    await lazy.add([kept]);
    await using opened = await openTopics(topics, logger);
    expect(await lettersOf(opened)).toEqual([kept]);
  });
});
