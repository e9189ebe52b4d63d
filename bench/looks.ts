import type { RowDataPacket } from 'mysql2/promise';
import { DEFAULT_MODEL } from '../src/model/data-model.ts';
import { openDatabase } from '../src/database/open.ts';
import { Rule } from '../src/rule/rule.ts';
import type { Figure } from './figures.ts';
import { cpuSecondsOfProcess } from './peers/running.ts';
import { type Stage, addCustomers, openScene } from './stage.ts';
import { percentile } from './statistics.ts';

const VIEWS_EACH = 10;
const USERS_OF_A_LOOK = [1, 20, 200];

/**
 * What the rule's question about 1, 20 and 200 users takes, and the server's CPU for it, among
 * `customers` with ten views each, all of them eligible.
 */
export async function looks(stage: Stage, customers: number, questions: number): Promise<Figure[]> {
  await using scene = await openScene(stage, 'embedded');
  await addCustomers(scene, customers, 'pro');
  for (let n = 0; n < VIEWS_EACH; n += 1) {
    await scene.connection.query(
      `INSERT INTO page_views (user_id, page, device, event_time)
       SELECT id, 'pricing', 'mobile', NOW() - INTERVAL ${n * 7} HOUR FROM customers WHERE email LIKE 'many%'`,
    );
  }
  const [rows] = await scene.connection.query<(RowDataPacket & { id: number })[]>(
    "SELECT id FROM customers WHERE email LIKE 'many%' ORDER BY id",
  );
  const { host, port, user, password, pid } = stage.server;
  const login = {
    host,
    port,
    user,
    password,
    name: scene.name,
    ssl: false,
    timeZone: '+00:00',
    model: DEFAULT_MODEL,
  };
  await using database = await openDatabase(login);
  const pages = ['pricing', 'settings'];
  const rule = new Rule(database.query, { planType: 'pro', pages, lookbackDays: 7 }, login);
  const figures: Figure[] = [];
  for (const users of USERS_OF_A_LOOK) {
    const times: number[] = [];
    const cpuBefore = pid === null ? null : cpuSecondsOfProcess(pid);
    for (let n = 0; n < questions; n += 1) {
      const ids = Array.from({ length: users }, (_, i) =>
        String(rows[(n * 7_919 + i * 101) % rows.length]?.id ?? 0),
      );
      const startMs = performance.now();
      await rule.among(ids);
      times.push(performance.now() - startMs);
    }
    const cpuAfter = pid === null ? null : cpuSecondsOfProcess(pid);
    figures.push({ id: `looks.p50-${users}`, unit: 'ms', values: [percentile(times, 0.5)] });
    const id = `looks.server-${users}`;
    const unit = 'ms CPU of the server';
    if (cpuBefore === null || cpuAfter === null) {
      figures.push({ id, unit, values: [], notMeasured: 'the server is no process of ours' });
    } else figures.push({ id, unit, values: [((cpuAfter - cpuBefore) * 1000) / questions] });
  }
  return figures;
}
