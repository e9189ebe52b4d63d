import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BulkPipeline } from '../../src/commands/bulk-pipeline.ts';
import { systemClock } from '../../src/model/clock.ts';
import { callSized } from '../../src/sinks/iterable/call-sized.ts';
import type { EligibleUser } from '../../src/rule/eligible-user.ts';
import { user } from '../support/reconciler-world.ts';

const at = (id: number, email = `u${id}@example.com`): EligibleUser => ({
  ...user(String(id), String(id)),
  email,
});

/** Pages that end their two halves when they are told to. */
class World {
  readonly begun: string[] = [];
  readonly busy = new Set<string>();
  overlaps = 0;
  isOver = false;
  readonly waiting: (() => void)[] = [];
  readonly pipeline = new BulkPipeline(async (page, onUpdated) => {
    const addresses = page.map(({ email }) => (email ?? '').toLowerCase());
    this.begun.push(...page.map(({ userId }) => userId));
    for (const address of addresses) {
      if (this.busy.has(address)) this.overlaps += 1;
      this.busy.add(address);
    }
    await this.#turn();
    onUpdated();
    await this.#turn();
    for (const address of addresses) this.busy.delete(address);
  });

  async #turn(): Promise<void> {
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('pages sent in bulk', () => {
  it('begin in their order, several at a time, and never two of one address at the same time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(60), { minLength: 1, maxLength: 40 }),
        fc.array(fc.nat(50), { minLength: 120, maxLength: 120 }),
        async (addresses, picks) => {
          const world = new World();
          const all = (async () => {
            for (const [i, address] of addresses.entries()) {
              await world.pipeline.begin([at(i, `A${address}@example.com`)]);
            }
            await world.pipeline.idle();
          })();
          void all.then(() => (world.isOver = true));
          for (let i = 0; !world.isOver; i++) {
            const pick = (picks[i % picks.length] ?? 0) % Math.max(1, world.waiting.length);
            world.waiting.splice(pick, 1)[0]?.();
            await world.settle();
          }
          expect(world.overlaps).toBe(0);
          expect(world.begun).toEqual(addresses.map((_, i) => String(i)));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('are at most twelve under way, six of them before the end of their profiles', async () => {
    const world = new World();
    void (async () => {
      for (let i = 0; i < 40; i++) await world.pipeline.begin([at(i)]);
    })();
    await world.settle();
    expect(world.begun).toHaveLength(6);
    for (const wake of world.waiting.splice(0)) wake();
    await world.settle();
    expect(world.begun).toHaveLength(12);
  });

  it('end with what sending one of them has thrown', async () => {
    const pipeline = new BulkPipeline(() => Promise.reject(new Error('the database is away')));
    await pipeline.begin([at(1)]);
    await expect(pipeline.idle()).rejects.toThrow('the database is away');
    await expect(pipeline.begin([at(2)])).rejects.toThrow('the database is away');
  });
});

async function* source(sizes: readonly number[]): AsyncGenerator<EligibleUser[]> {
  let id = 0;
  for (const size of sizes) yield Array.from({ length: size }, () => at((id += 1)));
}

describe('callSized', () => {
  it('keeps users and order, sends the first as they are, and fills the calls after it', async () => {
    const pages: (readonly EligibleUser[])[] = [];
    const sizes = [300, ...Array.from({ length: 9 }, () => 400)];
    for await (const page of callSized(source(sizes), systemClock)) pages.push(page);
    expect(pages.map(({ length }) => length)).toEqual([300, 1000, 1000, 1000, 600]);
    const ids = pages.flat().map(({ userId }) => Number(userId));
    expect(ids).toEqual(Array.from({ length: 3_900 }, (_, i) => i + 1));
  });

  it('ends a page before its calls would be too large', async () => {
    const wide = { ...at(1), profile: { first_name: 'x'.repeat(1_000_000) } };
    const pages: number[] = [];
    const all = async function* (): AsyncGenerator<EligibleUser[]> {
      yield Array.from({ length: 8 }, () => wide);
    };
    for await (const page of callSized(all(), systemClock)) pages.push(page.length);
    expect(pages).toEqual([3, 3, 2]);
  });
});
