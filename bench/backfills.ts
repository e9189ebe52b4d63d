import { setTimeout as sleep } from 'node:timers/promises';
import type { Measure } from './measures.ts';
import { type Scene, type Stage, Process, addCustomers, openScene } from './stage.ts';

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
      figures: [{ id: 'backfill.reading', unit: 'users/s', values: [rate] }],
    },
    {
      name: 'its peak resident memory',
      value: `${peak.toFixed(0)} MB`,
      bar: `< ${MEMORY_MB_MAX} MB`,
      ok: peak < MEMORY_MB_MAX,
      figures: [{ id: 'backfill.memory', unit: 'MB peak RSS', values: [peak] }],
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
 * `latencyMs` a call. Rates are of the time between the first and the last profile; when the first
 * call arrives, from the start of the process, is a line of its own.
 */
export async function backfillSending(
  stage: Stage,
  users: number,
  bulkUsers: number,
  firstUsers: number,
  latencyMs: number,
): Promise<Measure[]> {
  await using scene = await openScene(stage, 'embedded');
  await addCustomers(scene, bulkUsers, 'pro');
  await scene.connection.query(
    "INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers WHERE email LIKE 'many%'",
  );
  await scene.iterable.latency(latencyMs);
  const first = await firstVersion(scene.iterable.url, firstUsers);
  const single = await sending(
    scene,
    ['backfill', '--limit', String(users)],
    users,
    'users/update',
  );
  const bulk = await sending(scene, ['backfill', '--bulk'], bulkUsers + 3, 'users/bulkUpdate');
  const measure = (id: string, name: string, rate: number, bar: number | null): Measure => ({
    name,
    value: `${Math.round(rate).toLocaleString('en-US')} users/s (${(rate / first).toFixed(1)} × the first version's way)`,
    bar: bar === null ? '' : `≥ ${bar.toLocaleString('en-US')}`,
    ok: bar === null ? null : rate >= bar,
    figures: [{ id: `backfill.${id}`, unit: 'users/s', values: [rate] }],
  });
  return [
    measure('one-by-one', `one user after the other, ${latencyMs} ms a call`, first, null),
    measure('single', `backfill of ${users.toLocaleString('en-US')} users`, single.rate, 490),
    measure('bulk', `backfill --bulk of ${bulkUsers.toLocaleString('en-US')}`, bulk.rate, 4_500),
    {
      name: 'backfill --bulk: its first call, its peak resident memory',
      value: `${(bulk.firstMs / 1000).toFixed(2)} s, ${bulk.megabytes.toFixed(0)} MB`,
      bar: `≤ 2 s, < ${MEMORY_MB_MAX} MB`,
      ok: bulk.firstMs <= 2_000 && bulk.megabytes < MEMORY_MB_MAX,
    },
  ];
}

interface Sending {
  /** Users a second, without those of the first arrival. */
  rate: number;
  firstMs: number;
  megabytes: number;
}

/** One backfill, which must reach so many users. */
async function sending(
  scene: Scene,
  args: readonly string[],
  users: number,
  endpoint: string,
): Promise<Sending> {
  await scene.iterable.reset();
  await sleep(1_100);
  const startedMs = performance.timeOrigin + performance.now();
  await using program = new Process(args, scene.env);
  let megabytes = 0;
  const watching = setInterval(() => {
    megabytes = Math.max(megabytes, program.peakMegabytes() || 0);
  }, 50);
  const code = await program.ended;
  clearInterval(watching);
  const times = (await scene.iterable.arrivals(endpoint)).map(({ at }) => at);
  if (code !== 0 || times.length !== users) {
    throw new Error(`${args.join(' ')} ended with ${code}, ${times.length}:\n${program.output}`);
  }
  const [firstAt = 0] = times;
  const later = times.filter((at) => at > firstAt);
  const rate = (later.length * 1000) / ((times.at(-1) ?? 0) - firstAt);
  return { rate, firstMs: firstAt - startedMs, megabytes };
}
