import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { expect, it } from 'vitest';
import { notOutlivingUs } from '../../tools/services/server-process.ts';
import { until } from '../support/program.ts';
import { injectServices } from '../support/services.ts';

const DEV = new URL('../../demo/dev.ts', import.meta.url).pathname;
const SOURCE = new URL('../../src/main.ts', import.meta.url).pathname;

it('npm run dev starts again what changed, and leaves nothing behind', async () => {
  const { host, port, user, password } = injectServices().mysql;
  const TMPDIR = mkdtempSync(join(tmpdir(), 'dev-'));
  const [command, ...args] = notOutlivingUs([process.execPath, DEV], 'TERM');
  const dev = spawn(command, args, {
    env: {
      PATH: process.env['PATH'],
      TMPDIR,
      DB_HOST: host,
      DB_PORT: String(port),
      DB_USER: user,
      DB_PASSWORD: password,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [dev.stdout, dev.stderr]) {
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  }
  const ended = new Promise<number | null>((resolve) => dev.once('close', resolve));
  const starts = (): number => said.match(/^run +\| .*status at http/gm)?.length ?? 0;
  await until('it runs', async () => starts() === 1);
  const name = /\S+ (iterable_sync_dev_\w+)/.exec(said)?.[1];
  utimesSync(SOURCE, new Date(), new Date());
  await until('it runs again', async () => starts() === 2);
  dev.kill('SIGINT');
  expect(await ended, said).toBe(0);

  expect(readdirSync(TMPDIR)).toEqual([]);
  const sql = await createConnection({ host, port, user, password });
  const [databases] = await sql.query('SHOW DATABASES LIKE ?', [name]);
  expect(databases).toEqual([]);
  const [connections] = await sql.query(
    'SELECT * FROM information_schema.processlist WHERE db = ?',
    [name],
  );
  expect(connections).toEqual([]);
  await sql.end();
});
