import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Pipeline, SEED } from '../support/pipeline.ts';
import { injectServices } from '../support/services.ts';

const CLOCK = new URL('../support/clock.ts', import.meta.url).href;
const DAY_MS = 86_400_000;

/** An offset of whole minutes in which the next midnight is half a minute to one and a half away. */
function zoneBeforeMidnight(nowMs: number): { zone: string; midnightMs: number } {
  const minuteMs = 60_000;
  const midnightMs = Math.ceil((nowMs + 30_000) / minuteMs) * minuteMs;
  const utcMinutes = Math.round((midnightMs % DAY_MS) / minuteMs);
  const ahead = (24 * 60 - utcMinutes) % (24 * 60);
  const minutes = ahead > 13 * 60 ? ahead - 24 * 60 : ahead;
  const two = (n: number): string => String(n).padStart(2, '0');
  const size = Math.abs(minutes);
  const zone = `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  return { zone, midnightMs };
}

describe('time', () => {
  // Guards DB_TIME_ZONE on every session: CURDATE() is the rule's, and nobody's else.
  it.concurrent(
    'passes midnight in DB_TIME_ZONE: who lapses is not sent any more, who is new is',
    async () => {
      const { zone, midnightMs } = zoneBeforeMidnight(Date.now());
      await using pipeline = await Pipeline.open({
        database: injectServices().mysql,
        topics: 'embedded',
        customers: 0,
        env: { DB_TIME_ZONE: zone },
      });
      const { connection, simulator } = pipeline;
      await using program = pipeline.start();
      await program.ready();
      const people = ['oldest', 'kept', 'lapsed', 'fresh'];
      for (const [i, name] of people.entries()) {
        await connection.query(
          "INSERT INTO customers (id, email, first_name, last_name, plan_type) VALUES (?, ?, 'A', 'B', 'pro')",
          [900 + i, `${name}@example.org`],
        );
      }
      /** `days` before the midnight that comes, on the second. */
      const view = async (name: string, days: number, plusS = 0): Promise<void> => {
        await connection.query(
          "INSERT INTO page_views (user_id, page, event_time) VALUES (?, 'pricing', FROM_UNIXTIME(?))",
          [900 + people.indexOf(name), midnightMs / 1000 - days * 86_400 + plusS],
        );
      };
      const has = (name: string): boolean => simulator.users.has(`${name}@example.org`);
      const until = async (isSo: () => boolean): Promise<void> => {
        for (let i = 0; i < 500 && !isSo(); i++) await sleep(10);
      };
      // The day that is now ends eight days after the first that counts has begun.
      await view('oldest', 8);
      await view('lapsed', 8, -1);
      await until(() => has('oldest'));
      expect(Date.now(), 'the machine was fast enough').toBeLessThan(midnightMs);
      expect([has('oldest'), has('lapsed')]).toEqual([true, false]);
      await sleep(midnightMs + 500 - Date.now());
      await view('lapsed', 7, -1);
      await view('kept', 7);
      await view('fresh', 0, 0);
      await until(() => has('kept') && has('fresh'));
      await sleep(500);
      expect(people.map(has)).toEqual([true, true, false, true]);
      expect(simulator.users.get('kept@example.org')?.events.size).toBe(1);
    },
    120_000,
  );

  // Guards the monotonic clocks of delivery (reconciler, breaker, limiter) and publish queue, and HeardClock.
  it.concurrent.each(['embedded', 'Kafka'] as const)(
    'jumps by hours and weeks in both directions, on %s topics, and nothing is lost',
    async (topics) => {
      await using pipeline = await Pipeline.open({ database: injectServices().mysql, topics });
      const jumps = `3000:3600000,4000:${-7_200_000},5500:${30 * DAY_MS},7000:${-60 * DAY_MS}`;
      await using program = pipeline.start('run', {
        NODE_OPTIONS: `--import ${CLOCK}`,
        CLOCK: jumps,
      });
      const url = await program.ready();
      const stopWriting = pipeline.write();
      await sleep(9_000);
      await stopWriting();
      await pipeline.settle([url], 15_000);
      expect(await pipeline.problems(), `seed ${SEED} ${program.stderr.slice(-3_000)}`).toEqual([]);
      program.kill('SIGTERM');
      expect((await program.ended).code).toBe(0);
    },
    120_000,
  );
});
