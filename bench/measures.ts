import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import type { Figure } from './figures.ts';
import { type Stage, Process, addCustomers, openScene, startReady, until } from './stage.ts';
import { percentile, slidingMaximum } from './statistics.ts';

export type Kind = 'embedded' | 'Kafka';

/** One line of the table. `ok` is null where there is no bar. */
export interface Measure {
  name: string;
  value: string;
  bar: string;
  ok: boolean | null;
  /** What the value says, as numbers. */
  figures?: readonly Figure[];
}

export const line = (
  name: string,
  value: string,
  bar = '',
  ok: boolean | null = null,
  figures: readonly Figure[] = [],
): Measure => ({ name, value, bar, ok, figures });

export const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

/**
 * Views at this part of the rate for half as long before those that are measured: connections, caches
 * and the code of the program, of Kafka and of the simulator are warm then, and nothing waits.
 */
const WARM_PART = 0.5;
/** A share of the limits counts a second after it was given, and is cold for two more. */
const SHARE_MS = 3_100;

export async function metric(url: string, pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(pattern.exec(text)?.[1] ?? 0);
}

/**
 * How many a second, up to `goal`: between the first look that saw some (or the last that saw none)
 * and the last before all were there, or the one after it where there was none between. Each look
 * costs whoever is measured, so there are not many.
 */
export async function rateUpTo(
  goal: number,
  what: string,
  everyMs: number,
  count: () => Promise<number>,
): Promise<number> {
  let first = { atMs: performance.now(), count: 0 };
  let last = first;
  await until(`${what}: ${goal}`, everyMs, async () => {
    const now = { count: await count(), atMs: performance.now() };
    if (now.count < goal && first.count === 0) first = now;
    if (now.count < goal || last.atMs <= first.atMs) last = now;
    return now.count >= goal;
  });
  return (last.count - first.count) / ((last.atMs - first.atMs) / 1000);
}

/**
 * From commit to events/track, in ms. Each view is another pro user's, so that nothing coalesces.
 * Of every `poisonedEvery` users one's calls always answer 500 (0: nobody's); it is not counted.
 * What is measured is steady: it begins once the instance has its share of the limits, and after
 * views that make all of it warm, which are not counted.
 */
async function waitsOf(
  stage: Stage,
  kind: Kind,
  perSecond: number,
  seconds: number,
  poisonedEvery = 0,
): Promise<number[]> {
  await using scene = await openScene(stage, kind);
  const warm = Math.round((perSecond * WARM_PART * seconds) / 2);
  const total = warm + perSecond * seconds;
  await addCustomers(scene, total, 'pro');
  const [found] = await scene.connection.query(
    "SELECT id, email FROM customers WHERE email LIKE 'many%' ORDER BY id",
  );
  const users = found as { id: number; email: string }[];
  const isPoisoned = (i: number): boolean => poisonedEvery > 0 && i % poisonedEvery === 0;
  const poisoned = users.filter((_, i) => isPoisoned(i)).map(({ email }) => email);
  await scene.iterable.poison(poisoned);
  const { program } = await startReady(['run'], { ...scene.env, START_FROM: 'now' });
  await using _ = program;
  await program.says(/"share":[\d.]+.*"delivering"/);
  await sleep(SHARE_MS);
  const { host, port, user, password } = stage.server;
  const committed = new Map<string, number>();
  const startMs = performance.now();
  let next = 0;
  const writers = Array.from({ length: 4 }, async () => {
    const writer = await createConnection({ host, port, user, password, database: scene.name });
    for (let i = next++; i < total; i = next++) {
      const steps = i + Math.min(i, warm) * (1 / WARM_PART - 1);
      const waitMs = startMs + (steps * 1000) / perSecond - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      const one = users[i];
      if (one === undefined) break;
      await writer.query(
        "INSERT INTO page_views (user_id, page, device) VALUES (?, 'pricing', 'mobile')",
        [one.id],
      );
      if (i >= warm && !isPoisoned(i))
        committed.set(one.email, performance.timeOrigin + performance.now());
    }
    writer.destroy();
  });
  await Promise.all(writers);
  const all = total - poisoned.length;
  for (let i = 0; i < 500 && (await scene.iterable.events()) < all; i++) await sleep(20);
  const wanted = committed.size;
  const arrivals = await scene.iterable.arrivals('events/track');
  const waits = arrivals
    .map(({ at, email }) => at - (committed.get(email) ?? Number.NaN))
    .filter((ms) => !Number.isNaN(ms));
  if (waits.length !== wanted)
    throw new Error(`${wanted} views were committed, ${waits.length} events arrived`);
  return waits;
}

export async function latency(
  stage: Stage,
  kind: Kind,
  perSecond: number,
  seconds: number,
): Promise<Measure> {
  const waits = await waitsOf(stage, kind, perSecond, seconds);
  const [p50, p99, most] = [percentile(waits, 0.5), percentile(waits, 0.99), Math.max(...waits)];
  const [p50Bar, p99Bar] = kind === 'embedded' ? [5, 30] : [8, 50];
  return line(
    `commit → events/track, ${kind}, ${perSecond}/s`,
    `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${most.toFixed(0)} ms`,
    `p50 ≤ ${p50Bar} ms, p99 ≤ ${p99Bar} ms`,
    p50 <= p50Bar && p99 <= p99Bar,
    [
      { id: `latency.p50.${kind}-${perSecond}`, unit: 'ms', values: [p50] },
      { id: `latency.p99.${kind}-${perSecond}`, unit: 'ms', values: [p99] },
    ],
  );
}

/**
 * The same with 1% of the users poisoned, and without, in turns: the medians of the rounds are
 * compared, since what else the machine does shows in single ones.
 */
export async function poisonedLatency(
  stage: Stage,
  kind: Kind,
  perSecond: number,
  seconds: number,
  roundCount: number,
): Promise<Measure> {
  const p99 = async (every: number): Promise<number> =>
    percentile(await waitsOf(stage, kind, perSecond, seconds, every), 0.99);
  const rounds: [number, number][] = [];
  for (let round = 0; round < roundCount; round++) rounds.push([await p99(0), await p99(100)]);
  const without = percentile(
    rounds.map(([healthy]) => healthy),
    0.5,
  );
  const poisoned = percentile(
    rounds.map(([, beside]) => beside),
    0.5,
  );
  return line(
    `commit → events/track, ${kind}, ${perSecond}/s, 1% of the users always fail`,
    `p99 ${poisoned.toFixed(1)} ms, without them ${without.toFixed(1)} ms`,
    '≤ 2 times as long',
    poisoned <= 2 * without,
    [
      { id: 'poison.p99', unit: 'ms', values: [poisoned] },
      { id: 'poison.p99-without', unit: 'ms', values: [without] },
    ],
  );
}

/** Everyone eligible at once: how much of the limit is used, and that it is not passed. */
export async function backlog(
  stage: Stage,
  kind: Kind,
  users: number,
  instances: number,
): Promise<Measure> {
  await using scene = await openScene(stage, kind);
  await addCustomers(scene, users, 'pro');
  await scene.connection.query(
    "INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers WHERE email LIKE 'many%'",
  );
  await using first = new Process(['run'], scene.env);
  await using others = new AsyncDisposableStack();
  const more = Array.from({ length: instances - 1 }, () =>
    others.use(new Process(['deliver'], scene.env)),
  );
  await until('every user reached', 200, async () => (await scene.iterable.events()) >= users);
  await sleep(1_000);
  for (const other of more) await other.stop();
  await first.stop();
  const arrivals = (await scene.iterable.arrivals('users/update')).map(({ at }) => at);
  // The first seconds have rebalances in them; what is sustained comes after.
  const start = (arrivals[0] ?? 0) + (instances > 1 ? 8_000 : 1_000);
  const steady = arrivals.filter((at) => at >= start).slice(0, -50);
  const span = ((steady.at(-1) ?? 0) - (steady[0] ?? 0)) / 1000;
  const rate = (steady.length - 1) / span;
  const update = await scene.iterable.endpoint('users/update');
  const refused = update.statuses['429'] ?? 0;
  const most = slidingMaximum(arrivals, 1000);
  return line(
    `backlog of ${whole(users)} users, ${kind}, ${instances} instance(s)`,
    `${rate.toFixed(1)} users/s, most in a second ${most}, 429s ${refused}`,
    `≥ 492.5/s, ≤ 500, ≤ ${Math.ceil(users / 10_000)}`,
    rate >= 492.5 && most <= 500 && refused <= Math.ceil(users / 10_000),
    [{ id: `backlog.${kind}-${instances}`, unit: 'users/s', values: [rate] }],
  );
}
