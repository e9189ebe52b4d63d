import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { openTopics } from '../../src/topics/open.ts';
import { notOutlivingUs } from '../../tools/services/server-process.ts';
import { environment, until } from '../support/program.ts';
import { freshDatabase, injectServices } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const ROWS = 1_000_000;
const PEAK_KB_MAX = 400_000;

async function peakKb(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]);
}

// Guards TransactionBuffer.#rows: rows that were held until their transaction ends would pass the bound.
test.each(['mysql', 'mariadb'] as const)(
  'a transaction of a million rows on %s passes in bounded memory, whole and in order',
  { timeout: 600_000 },
  async (flavour) => {
    await using database = await freshDatabase(injectServices()[flavour]);
    const { connection, settings } = database;
    await setUpTables(connection);
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    const env = environment(settings, simulator.url);
    const [command, ...args] = notOutlivingUs([process.execPath, MAIN, 'run'], 'KILL');
    const child = spawn(command, args, {
      cwd: env['RESULTS_DIR']?.replace(/results$/, ''),
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    try {
      let log = '';
      child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
      const url = (): string => /status at (http:\/\/[^"\s]+)/.exec(log)?.[1] ?? '';
      await until('ready', async () => (await fetch(`${url()}/readyz`)).status === 200);
      const digits =
        '(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)';
      const number = [0, 1, 2, 3, 4, 5].map((n) => `t${n}.d * ${10 ** n}`).join(' + ');
      const tables = [0, 1, 2, 3, 4, 5].map((n) => `${digits} t${n}`).join(', ');
      await connection.query(
        `INSERT INTO page_views (id, user_id, page, location) SELECT 100 + n, 1 + n % 9, 'home', REPEAT('x', 100) FROM (SELECT ${number} AS n FROM ${tables}) AS numbers ORDER BY n`,
      );
      await until(
        'all rows are in the topic',
        async () => {
          const { capture } = (await (await fetch(`${url()}/status`)).json()) as {
            capture: { capturedRows: Record<string, number> };
          };
          return capture.capturedRows['page_views.insert'] === ROWS;
        },
        400_000,
      );
      expect(await peakKb(child.pid)).toBeLessThan(PEAK_KB_MAX);
    } finally {
      const ended = new Promise((resolve) => {
        child.once('close', resolve);
      });
      child.kill('SIGKILL');
      await ended;
    }
    await using topics = await openTopics(
      { topic: 'page_views', partitions: 6, kafka: null, stateDir: env['STATE_DIR'] ?? '' },
      pino({ level: 'silent' }),
    );
    const last = new Map<string, number>();
    let rows = 0;
    const ranges = await topics.bounds([topics.names.pageViews]);
    for await (const messages of topics.read(ranges, new AbortController().signal)) {
      for (const { key, value } of messages) {
        const id = Number(/"id":(\d+)/.exec(value ?? '')?.[1]);
        if (id <= (last.get(key ?? '') ?? 0)) throw new Error(`${id} is out of order`);
        last.set(key ?? '', id);
        rows += 1;
      }
    }
    expect(rows).toBe(ROWS);
  },
);
