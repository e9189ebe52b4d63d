import { setTimeout as sleep } from 'node:timers/promises';
import type { Figure } from './figures.ts';
import { type Measure, whole } from './measures.ts';
import { type Scene, type Stage, Process, addCustomers, openScene } from './stage.ts';

const MEMORY_MB_MAX = 200;

/** Pro customers with so many views each that count: the first views of all, then the second ones. */
async function addViewers(scene: Scene, customers: number, viewsEach: number): Promise<void> {
  await addCustomers(scene, customers, 'pro');
  for (let i = 0; i < viewsEach; i++) {
    await scene.connection.query(
      `INSERT INTO page_views (user_id, page, device, event_time)
       SELECT id, IF(id % 2 = 0, 'pricing', 'settings'), 'mobile', NOW() - INTERVAL ${i * 7} HOUR FROM customers WHERE email LIKE 'many%'`,
    );
  }
}

/** What `backfill --dry-run` of everyone came to. */
async function reading(
  scene: Scene,
  customers: number,
): Promise<{ rate: number; megabytes: number }> {
  const start = performance.now();
  await using program = new Process(['backfill', '--dry-run'], scene.env, false);
  const { code, megabytes } = await watched(program);
  if (code !== 0) throw new Error(`backfill --dry-run ended with ${code}:\n${program.output}`);
  return { rate: customers / ((performance.now() - start) / 1000), megabytes };
}

/** Reads 200,000 customers with 2,000,000 views (or fewer) without sending: speed and memory. */
export async function backfillReading(
  stage: Stage,
  customers: number,
  viewsEach: number,
): Promise<Measure[]> {
  await using scene = await openScene(stage, 'embedded');
  await addViewers(scene, customers, viewsEach);
  const { rate, megabytes } = await reading(scene, customers);
  const size = `${whole(customers)} customers, ${whole(customers * viewsEach)} views`;
  return [
    {
      name: `backfill --dry-run, ${size}`,
      value: `${whole(rate)} users/s`,
      bar: '',
      ok: null,
      figures: [{ id: 'backfill.reading', unit: 'users/s', values: [rate] }],
    },
    {
      name: 'its peak resident memory',
      value: `${whole(megabytes)} MB`,
      bar: `< ${MEMORY_MB_MAX} MB`,
      ok: megabytes < MEMORY_MB_MAX,
      figures: [{ id: 'backfill.memory', unit: 'MB peak RSS', values: [megabytes] }],
    },
  ];
}

/** Of a table that has grown: how fast it is read, how soon the first is sent, and in what memory. */
export async function backfillGrowth(
  stage: Stage,
  customers: number,
  viewsEach: number,
): Promise<Measure> {
  await using scene = await openScene(stage, 'embedded');
  await addViewers(scene, customers, viewsEach);
  const { rate, megabytes } = await reading(scene, customers);
  const limit = Math.min(customers, 2_000);
  const args = ['backfill', '--bulk', '--limit', String(limit)];
  const bulk = await sending(scene, args, limit, 'users/bulkUpdate');
  const most = Math.max(megabytes, bulk.megabytes);
  return {
    name: `backfill, ${whole(customers * viewsEach)} views of ${whole(customers)} customers`,
    value: `reads ${whole(rate)} users/s, first call ${(bulk.firstMs / 1000).toFixed(2)} s, ${whole(most)} MB`,
    bar: `≤ 2 s, < ${MEMORY_MB_MAX} MB`,
    ok: bulk.firstMs <= 2_000 && most < MEMORY_MB_MAX,
    figures: growthFigures(customers * viewsEach, rate, bulk.firstMs, most),
  };
}

const growthFigures = (
  views: number,
  rate: number,
  firstMs: number,
  megabytes: number,
): Figure[] => [
  { id: `backfill-growth.rate.${views}`, unit: 'users/s', values: [rate] },
  { id: `backfill-growth.first.${views}`, unit: 'ms', values: [firstMs] },
  { id: `backfill-growth.memory.${views}`, unit: 'MB peak RSS', values: [megabytes] },
];

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
    value: `${whole(rate)} users/s (${(rate / first).toFixed(1)} × the first version's way)`,
    bar: bar === null ? '' : `≥ ${whole(bar)}`,
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
  const { code, megabytes } = await watched(program);
  const times = (await scene.iterable.arrivals(endpoint)).map(({ at }) => at);
  if (code !== 0 || times.length !== users) {
    throw new Error(`${args.join(' ')} ended with ${code}, ${times.length}:\n${program.output}`);
  }
  const [firstAt = 0] = times;
  const later = times.filter((at) => at > firstAt);
  const rate = (later.length * 1000) / ((times.at(-1) ?? 0) - firstAt);
  return { rate, firstMs: firstAt - startedMs, megabytes };
}

/** Waits for its end; its peak resident memory in MB, as last seen. */
async function watched(program: Process): Promise<{ code: number | null; megabytes: number }> {
  let megabytes = 0;
  const watching = setInterval(() => {
    megabytes = Math.max(megabytes, program.peakMegabytes() || 0);
  }, 50);
  const code = await program.ended;
  clearInterval(watching);
  return { code, megabytes };
}
