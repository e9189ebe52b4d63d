import { setTimeout as sleep } from 'node:timers/promises';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import { Rule } from '../../src/rule/rule.ts';
import { Batch } from '../../src/commands/batch.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import { type Delivery, StoppedError } from '../../src/deliver/sink.ts';
import type { Reply } from '../../src/sinks/iterable/read-response.ts';
import { Outages } from '../../src/observe/outages.ts';
import type { DeadLetter } from '../../src/topics/port.ts';
import { callsOf } from '../support/deliveries.ts';

const slowDown = (retryAfterMs: number | null): Reply => ({
  kind: 'retry',
  status: 429,
  message: 'slow down',
  retryAfterMs,
});

const REFUSAL = { kind: 'refused', status: 400, code: null, message: '', body: null } as const;
const REFUSED = {
  user: { userId: '7', email: 'a@example.com', pageViewId: '70' },
  calls: callsOf(REFUSAL, REFUSAL),
} as unknown as Delivery;

const logger = pino({ level: 'silent' });

const RULE = { planType: 'pro', pages: ['pricing'], lookbackDays: 7 };
const DATABASE = { name: 'shop', user: 'me', model: DEFAULT_MODEL };

class World {
  readonly printed: string[] = [];
  readonly letters: DeadLetter[] = [];
  /** How often letters were kept. */
  commits = 0;
  storeIsAway = false;
  readonly batch: Batch;
  /** What it gave up with, or null. */
  gaveUp: string | null = null;

  constructor(giveUpMs = 60_000) {
    this.batch = new Batch(
      {
        settings: {
          resultsDir: mkdtempSync(join(tmpdir(), 'batch-')),
          iterable: {
            apiKey: 'key',
            baseUrl: 'http://127.0.0.1:9',
            timeoutMs: 10_000,
            usersUpdatePerSecond: 500,
            eventsTrackPerSecond: 2_000,
          },
        },
        logger,
        outages: new Outages(logger),
        signal: new AbortController().signal,
        print: (line: string) => this.printed.push(line),
      } as unknown as CommandContext,
      {
        rule: new Rule(() => Promise.resolve([]), RULE, DATABASE),
        session: () => Promise.reject(new Error('no look is meant')),
        share: 1,
        looksMax: 1,
        giveUpMs,
        deadLetters: {
          add: (letters) => {
            if (this.storeIsAway) return Promise.reject(new Error('it is away'));
            this.letters.push(...letters);
            this.commits += 1;
            return Promise.resolve();
          },
        },
      },
    );
    this.batch.fatal.catch((error: unknown) => (this.gaveUp = (error as Error).message));
  }
}

describe('Batch', () => {
  afterEach(() => vi.useRealTimers());

  it('gives up on Iterable after a minute, whatever it answers meanwhile', async () => {
    vi.useFakeTimers();
    const world = new World();
    const { breaker } = world.batch.sink;
    breaker.report(slowDown(null), false);
    await vi.advanceTimersByTimeAsync(40_000);
    const away: Reply = { kind: 'retry', status: 503, message: 'away', retryAfterMs: null };
    breaker.report(away, await breaker.pass());
    await vi.advanceTimersByTimeAsync(19_000);
    expect(world.gaveUp).toBeNull();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(world.gaveUp).toContain('has not accepted a call for 60 s (HTTP 503 away)');
    await world.batch[Symbol.asyncDispose]();
  });

  it('waits for as long as Iterable has asked for by Retry-After', async () => {
    vi.useFakeTimers();
    const world = new World();
    world.batch.sink.breaker.report(slowDown(120_000), false);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(world.gaveUp).toBeNull();
    await vi.advanceTimersByTimeAsync(11_000);
    expect(world.gaveUp).toContain('429');
    await world.batch[Symbol.asyncDispose]();
  });

  // Guards the order in `record`: what counts as done is not looked at again.
  it('counts a refusal once its dead letter is kept, and gives up where it cannot be', async () => {
    const world = new World(1_500);
    world.storeIsAway = true;
    const kept = world.batch.record([REFUSED]);
    await sleep(20);
    expect(world.batch.totals.processed).toBe(0);
    world.storeIsAway = false;
    await kept;
    expect(world.letters.map(({ id }) => id)).toEqual(['page-view-70']);
    expect(world.batch.totals).toMatchObject({ processed: 1, failed: 1 });
    world.storeIsAway = true;
    await expect(world.batch.record([REFUSED])).rejects.toThrow(StoppedError);
    expect(world.gaveUp).toContain('a dead letter could not be kept for 1.5 s (it is away)');
    expect(() => world.batch.exitCode(true)).toThrow('dead letter');
    expect(world.batch.totals.processed).toBe(1);
    await world.batch[Symbol.asyncDispose]();
  });

  it('keeps the dead letters of a page in one go; what was accepted counts without them', async () => {
    const world = new World(500);
    const ok = { kind: 'ok', status: 200, body: null } as const;
    const accepted = { ...REFUSED, calls: callsOf(ok, ok) };
    await world.batch.record([REFUSED, accepted, REFUSED]);
    expect(world.letters).toHaveLength(2);
    expect(world.commits).toBe(1);
    expect(world.batch.totals).toMatchObject({ processed: 3, successful: 1, failed: 2 });
    world.storeIsAway = true;
    await expect(world.batch.record([REFUSED, accepted])).rejects.toThrow(StoppedError);
    expect(world.batch.totals).toMatchObject({ processed: 4, successful: 2, failed: 2 });
    await world.batch[Symbol.asyncDispose]();
  });
});
