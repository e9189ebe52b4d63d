import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { environment } from './program.ts';
import { type FreshDatabase, freshDatabase, injectServices } from './services.ts';
import { setUpTables } from './workload.ts';

/** A results file. */
export interface Results {
  total_users: number;
  successful: number;
  partial_failures: number;
  total_failures: number;
  records: { email: string; overall_success: boolean; users_update: { success: boolean } }[];
}

export interface Stage extends AsyncDisposable {
  database: FreshDatabase;
  simulator: Simulator;
  env: Record<string, string>;
}

/** A database with the seed of sql/ and an Iterable of its own. */
export async function stage(): Promise<Stage> {
  const database = await freshDatabase(injectServices().mysql);
  await setUpTables(database.connection);
  const simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
  return {
    database,
    simulator,
    env: environment(database.settings, simulator.url),
    async [Symbol.asyncDispose]() {
      await simulator[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** The newest results file in RESULTS_DIR. */
export function results(env: Readonly<Record<string, string>>): { path: string; content: Results } {
  const folder = env['RESULTS_DIR'] ?? '';
  const name = readdirSync(folder).sort().at(-1) ?? '';
  expect(name).toMatch(/^integration_results_\d{8}_\d{6}\.json$/);
  const path = join(folder, name);
  return { path, content: JSON.parse(readFileSync(path, 'utf8')) as Results };
}

/** Customers of the plan pro, each with a view that the rule asks for. */
export async function addPros({ database }: Stage, count: number): Promise<void> {
  await database.connection.query(
    `INSERT INTO customers (email, plan_type)
     SELECT CONCAT('many', n, '@example.com'), 'pro'
     FROM (SELECT ROW_NUMBER() OVER () AS n FROM information_schema.columns a, information_schema.columns b LIMIT ?) AS numbers`,
    [count],
  );
  await database.connection.query(
    "INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers WHERE email LIKE 'many%'",
  );
}
