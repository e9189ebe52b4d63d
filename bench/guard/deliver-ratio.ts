import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { freePorts } from '../../tools/services/folders.ts';
import { Running } from '../peers/running.ts';
import { type Stage, addCustomers, openScene, until } from '../stage.ts';
import { type Costs, cpuSecondsOf } from './cpu.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const SIMULATOR = new URL('unlimited-simulator.ts', import.meta.url).pathname;
/** More than any machine sends. */
const NO_LIMIT = '1000000';
const CONNECTIONS = 50;
/** Until then it starts and compiles. */
const WARM_PART = 0.25;
const POLL_MS = 20;
const RAW_PARTS = 3;
const headers = { 'Api-Key': 'bench', 'Content-Type': 'application/json' };

async function eventsAt(url: string): Promise<number> {
  const answer = await fetch(`${url}/simulator/stats`);
  return ((await answer.json()) as { state: { events: number } }).state.events;
}

/** CPU seconds of `backfill` for a user's two calls. */
async function delivered(
  url: string,
  env: Readonly<Record<string, string>>,
  users: number,
): Promise<number> {
  await fetch(`${url}/simulator/reset`, { method: 'POST' });
  const folder = mkdtempSync(join(tmpdir(), 'iterable-sync-bench-guard-'));
  const settings = {
    ...env,
    ITERABLE_API_BASE_URL: url,
    ITERABLE_USERS_UPDATE_PER_SECOND: NO_LIMIT,
    ITERABLE_EVENTS_TRACK_PER_SECOND: NO_LIMIT,
    LOG_FILE: 'off',
  };
  try {
    await using running = new Running(
      { command: [process.execPath, MAIN, 'backfill'], env: settings },
      folder,
    );
    const upTo = async (goal: number): Promise<{ count: number; cpuSeconds: number }> => {
      let count = 0;
      let cpuSeconds = 0;
      await until(`${goal} users reached`, POLL_MS, async () => {
        count = await eventsAt(url);
        // It may end with the last one, and takes its times with it.
        if (!running.hasEnded) cpuSeconds = running.cpuSeconds();
        if (running.hasEnded && count < goal) throw new Error(running.logTail());
        return count >= goal;
      });
      return { count, cpuSeconds };
    };
    const warm = await upTo(Math.round(users * WARM_PART));
    const almost = await upTo(Math.round(users * 0.95));
    return (almost.cpuSeconds - warm.cpuSeconds) / (almost.count - warm.count);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** CPU seconds of undici for the same two calls. */
async function posted(url: string, users: number): Promise<number> {
  const pool = new Pool(url, { connections: CONNECTIONS });
  const post = async (path: string, body: object): Promise<void> => {
    const answer = await pool.request({
      path,
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    await answer.body.text();
  };
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let n = next++; n < users; n = next++) {
      const email = `many${n}@example.com`;
      const dataFields = { first_name: 'Ann', plan_type: 'pro', recent_page_view: true };
      await post('/api/users/update', { email, dataFields });
      await post('/api/events/track', {
        email,
        eventName: 'page_view',
        id: `page-view-${n}`,
        createdAt: 1_768_314_645,
        dataFields: { page: 'pricing', timestamp: '2026-01-13 14:30:45' },
      });
    }
  };
  const seconds = await cpuSecondsOf(async () => {
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  });
  await pool.close();
  return seconds / users;
}

/** CPU of delivering a user, and of raw HTTP to the same simulator for it. */
export async function deliverCosts(
  stage: Stage,
  { users, rounds }: { users: number; rounds: number },
): Promise<Costs> {
  await using scene = await openScene(stage, 'embedded');
  await addCustomers(scene, users, 'pro');
  await scene.connection.query(
    "INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers WHERE email LIKE 'many%'",
  );
  const [port = 0] = await freePorts(1);
  const folder = mkdtempSync(join(tmpdir(), 'iterable-sync-bench-guard-'));
  await using _ = new Running(
    { command: [process.execPath, SIMULATOR, String(port)], env: {} },
    folder,
  );
  const url = `http://127.0.0.1:${port}`;
  await until('the simulator answers', POLL_MS, async () =>
    eventsAt(url).then(
      () => true,
      () => false,
    ),
  );
  await posted(url, users);
  const costs: Costs = { own: [], reference: [] };
  for (let round = 0; round < rounds; round += 1) {
    costs.own.push(await delivered(url, scene.env, users));
    for (let n = 0; n < RAW_PARTS; n += 1) {
      costs.reference.push(await posted(url, users / RAW_PARTS));
    }
  }
  rmSync(folder, { recursive: true, force: true });
  return costs;
}
