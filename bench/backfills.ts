import { setTimeout as sleep } from 'node:timers/promises';
import type { Measure } from './measures.ts';
import { type Stage, Process, addCustomers, openScene } from './stage.ts';

const MEMORY_MB_MAX = 200;

/** Reads 200,000 customers with 2,000,000 views (or fewer) without sending: speed and memory. */
export async function backfillReading(
  stage: Stage,
  customers: number,
  viewsEach: number,
): Promise<Measure[]> {
  await using scene = await openScene(stage, 'embedded');
  await addCustomers(scene, customers, 'pro');
  for (let i = 0; i < viewsEach; i++) {
    await scene.connection.query(
      `INSERT INTO page_views (user_id, page, device, event_time)
       SELECT id, IF(id % 2 = 0, 'pricing', 'settings'), 'mobile', NOW() - INTERVAL ${i * 7} HOUR FROM customers WHERE email LIKE 'many%'`,
    );
  }
  await using program = new Process(['backfill', '--dry-run'], scene.env, false);
  const start = performance.now();
  let peak = 0;
  const watching = setInterval(() => {
    const now = program.peakMegabytes();
    if (now > peak) peak = now;
  }, 50);
  const code = await program.ended;
  clearInterval(watching);
  if (code !== 0) throw new Error(`backfill --dry-run ended with ${code}:\n${program.output}`);
  const rate = customers / ((performance.now() - start) / 1000);
  const size = `${customers.toLocaleString('en-US')} customers, ${(customers * viewsEach).toLocaleString('en-US')} views`;
  return [
    {
      name: `backfill --dry-run, ${size}`,
      value: `${Math.round(rate).toLocaleString('en-US')} users/s`,
      bar: '',
      ok: null,
    },
    {
      name: 'its peak resident memory',
      value: `${peak.toFixed(0)} MB`,
      bar: `< ${MEMORY_MB_MAX} MB`,
      ok: peak < MEMORY_MB_MAX,
    },
  ];
}

/** One user after the other, two awaited calls each: the way of the first version. */
async function firstVersion(url: string, users: number): Promise<number> {
  const start = performance.now();
  const headers = { 'Api-Key': 'bench', 'Content-Type': 'application/json' };
  for (let i = 0; i < users; i++) {
    const email = `first${i}@example.com`;
    const update = { email, dataFields: { plan_type: 'pro', recent_page_view: true } };
    const event = {
      email,
      eventName: 'page_view',
      id: `first-${i}`,
      createdAt: 1_768_314_645,
      dataFields: { page: 'pricing' },
    };
    await (
      await fetch(`${url}/api/users/update`, {
        method: 'POST',
        headers,
        body: JSON.stringify(update),
      })
    ).text();
    await (
      await fetch(`${url}/api/events/track`, {
        method: 'POST',
        headers,
        body: JSON.stringify(event),
      })
    ).text();
  }
  return users / ((performance.now() - start) / 1000);
}

/**
 * Single, bulk and, for some of the users, the first version's way, on one simulator that takes
 * `latencyMs` a call.
 */
export async function backfillSending(
  stage: Stage,
  users: number,
  firstUsers: number,
  latencyMs: number,
): Promise<Measure[]> {
  await using scene = await openScene(stage, 'embedded');
  await addCustomers(scene, users, 'pro');
  await scene.connection.query(
    "INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers WHERE email LIKE 'many%'",
  );
  await scene.iterable.latency(latencyMs);
  const first = await firstVersion(scene.iterable.url, firstUsers);
  const rates: Record<string, number> = {};
  for (const args of [['backfill'], ['backfill', '--bulk']]) {
    await scene.iterable.reset();
    await sleep(1_100);
    await using program = new Process(args, scene.env);
    const start = performance.now();
    const code = await program.ended;
    rates[args.join(' ')] = users / ((performance.now() - start) / 1000);
    const events = await scene.iterable.events();
    if (code !== 0 || events !== users + 3)
      throw new Error(`${args.join(' ')} ended with ${code}, ${events} events:\n${program.output}`);
  }
  const measure = (name: string, rate: number): Measure => ({
    name,
    value: `${Math.round(rate).toLocaleString('en-US')} users/s (${(rate / first).toFixed(1)} × the first version's way)`,
    bar: '',
    ok: null,
  });
  return [
    measure(`one user after the other, ${latencyMs} ms a call`, first),
    measure(
      `backfill of ${users.toLocaleString('en-US')} users, ${latencyMs} ms a call`,
      rates['backfill'] ?? 0,
    ),
    measure('backfill --bulk of the same', rates['backfill --bulk'] ?? 0),
  ];
}
