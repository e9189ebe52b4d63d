import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { pino } from 'pino';
import { openTopics } from '../src/topics/open.ts';
import { type Scene, type Stage, Process, addCustomers, openScene, startReady } from './stage.ts';
import { percentile, slidingMaximum } from './statistics.ts';

export type Kind = 'embedded' | 'Kafka';

/** One line of the table. `ok` is null where there is no bar. */
export interface Measure {
  name: string;
  value: string;
  bar: string;
  ok: boolean | null;
}

const line = (name: string, value: string, bar = '', ok: boolean | null = null): Measure => ({
  name,
  value,
  bar,
  ok,
});

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

async function endOffset(scene: Scene, kind: Kind): Promise<number> {
  const kafka =
    kind === 'Kafka'
      ? {
          brokers: (scene.env['KAFKA_BROKERS'] ?? '').split(','),
          clientId: 'bench',
          ssl: false,
          sasl: null,
        }
      : null;
  const stateDir = scene.env['STATE_DIR'] ?? '';
  const topic = scene.env['KAFKA_TOPIC'] ?? 'page_views';
  await using topics = await openTopics(
    { kafka, topic, partitions: 6, stateDir },
    pino({ level: 'silent' }),
  );
  const bounds = await topics.bounds([topic]);
  return bounds.reduce((sum, { end }) => sum + end, 0);
}

/** Rows in the binlog first, then capture alone (`run` with nothing to send, where embedded). */
export async function captureRate(
  stage: Stage,
  kind: Kind,
  rows: number,
  perTransaction: number,
): Promise<Measure> {
  await using scene = await openScene(stage, kind);
  const { connection } = scene;
  await connection.query(
    "INSERT INTO customers (id, email, plan_type) VALUES (1000, 'one@example.com', 'free')",
  );
  await connection.query('FLUSH BINARY LOGS');
  const values = Array.from(
    { length: perTransaction },
    () => "(1000, 'home', 'mobile', 'Austin, TX')",
  ).join(',');
  for (let i = 0; i < rows; i += perTransaction) {
    await connection.query(
      `INSERT INTO page_views (user_id, page, device, location) VALUES ${values}`,
    );
  }
  const args = [kind === 'Kafka' ? 'capture' : 'run'];
  await using program = new Process(args, { ...scene.env, START_FROM: 'earliest' });
  const url = await program.says(/status at (http:\/\/[^"\s]+)/);
  const captured = async (): Promise<number> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(/captured_rows_total\{kind="page_views.insert"\} (\d+)/.exec(text)?.[1] ?? 0);
  };
  const start = performance.now();
  const seeded = 13;
  while ((await captured()) < rows + seeded) await sleep(10);
  const rate = (rows + seeded) / ((performance.now() - start) / 1000);
  if ((await endOffset(scene, kind)) < rows) throw new Error('rows are missing in the topic');
  const bar = kind === 'Kafka' && perTransaction >= 1000 ? 40_000 : null;
  const barText = bar === null ? '' : `≥ ${whole(bar)}`;
  return line(
    `capture into ${kind}, ${perTransaction} row(s) a transaction`,
    `${whole(rate)} rows/s`,
    barText,
    bar === null ? null : rate >= bar,
  );
}

/** Each view is another pro user's, so that nothing coalesces. */
export async function latency(
  stage: Stage,
  kind: Kind,
  perSecond: number,
  seconds: number,
): Promise<Measure> {
  await using scene = await openScene(stage, kind);
  const total = perSecond * seconds;
  await addCustomers(scene, total, 'pro');
  const [found] = await scene.connection.query(
    "SELECT id, email FROM customers WHERE email LIKE 'many%' ORDER BY id",
  );
  const users = found as { id: number; email: string }[];
  const { program } = await startReady(['run'], { ...scene.env, START_FROM: 'now' });
  await using _ = program;
  await sleep(1_500);
  const { host, port, user, password } = stage.server;
  const committed = new Map<string, number>();
  const startMs = performance.now();
  let next = 0;
  const writers = Array.from({ length: 4 }, async () => {
    const writer = await createConnection({ host, port, user, password, database: scene.name });
    for (let i = next++; i < total; i = next++) {
      const waitMs = startMs + (i * 1000) / perSecond - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      const one = users[i];
      if (one === undefined) break;
      await writer.query(
        "INSERT INTO page_views (user_id, page, device) VALUES (?, 'pricing', 'mobile')",
        [one.id],
      );
      committed.set(one.email, performance.timeOrigin + performance.now());
    }
    writer.destroy();
  });
  await Promise.all(writers);
  for (let i = 0; i < 500 && (await scene.iterable.events()) < total; i++) await sleep(20);
  const arrivals = await scene.iterable.arrivals('events/track');
  const waits = arrivals
    .map(({ at, email }) => at - (committed.get(email) ?? Number.NaN))
    .filter((ms) => !Number.isNaN(ms));
  if (waits.length !== total)
    throw new Error(`${total} views were committed, ${waits.length} events arrived`);
  const [p50, p99, most] = [percentile(waits, 0.5), percentile(waits, 0.99), Math.max(...waits)];
  const p50Bar = kind === 'embedded' ? 15 : 40;
  const hasBar = perSecond === 200;
  return line(
    `commit → events/track, ${kind}, ${perSecond}/s`,
    `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${most.toFixed(0)} ms`,
    hasBar ? `p50 ≤ ${p50Bar} ms, p99 ≤ 100 ms` : '',
    hasBar ? p50 <= p50Bar && p99 <= 100 : null,
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
  await using second = instances > 1 ? new Process(['deliver'], scene.env) : null;
  while ((await scene.iterable.events()) < users) await sleep(200);
  await sleep(1_000);
  await second?.stop();
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
    '≥ 490/s, ≤ 500, 0',
    rate >= 490 && most <= 500 && refused === 0,
  );
}

/** A topic full of views that nobody is reached for. */
export async function catchUp(stage: Stage, kind: Kind, messages: number): Promise<Measure> {
  await using scene = await openScene(stage, kind);
  await addCustomers(scene, 5_000, 'free');
  await using filling = (
    await startReady(['run'], { ...scene.env, START_FROM: 'now', KAFKA_GROUP_ID: 'other' })
  ).program;
  for (let i = 0; i < messages; i += 5_000) {
    await scene.connection.query(
      "INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers WHERE email LIKE 'many%'",
    );
  }
  await sleep(500);
  await filling.stop();
  await using program = new Process(['deliver'], {
    ...scene.env,
    KAFKA_GROUP_ID: `${scene.name}-again`,
  });
  const url = await program.says(/status at (http:\/\/[^"\s]+)/);
  const done = async (): Promise<number> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(/deliveries_total\{outcome="ineligible"\} (\d+)/.exec(text)?.[1] ?? 0);
  };
  let first: { at: number; count: number } | null = null;
  let now = 0;
  while (now < messages) {
    await sleep(20);
    now = await done();
    if (first === null && now > 0) first = { at: performance.now(), count: now };
  }
  const rate = (now - (first?.count ?? 0)) / ((performance.now() - (first?.at ?? 0)) / 1000);
  return line(
    `catch-up of ${whole(messages)} ineligible messages, ${kind}`,
    `${whole(rate)} messages/s`,
  );
}
