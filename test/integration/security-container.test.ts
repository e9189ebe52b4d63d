import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { run } from '../../tools/services/commands.ts';
import { dockerEngine } from '../../tools/services/services.ts';
import { makeNodeImage } from '../support/node-image.ts';
import { until } from '../support/program.ts';
import { type FreshDatabase, freshDatabase, injectServices } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';

const BASE = 'iterable-sync-local/node-stand-in';
const IMAGE = 'iterable-sync-local/under-test';
/** The first stage, named so that nothing nameless is left behind. */
const BUILD = `${IMAGE}-build`;
const PLANTED = 'planted-key-in-a-file';
const ROOT = new URL('../../', import.meta.url).pathname;
const COPIED = [
  'Dockerfile',
  '.dockerignore',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'src',
  'config',
  'sql',
];

const docker = (...args: string[]): Promise<string> =>
  run('docker', args, { timeoutMs: 120_000, env: { DOCKER_BUILDKIT: '0' } });
const say = (line: string): void => void process.stderr.write(`services: ${line}\n`);

let engine: AsyncDisposable;
let database: FreshDatabase;
let simulator: Simulator;
const volume = `iterable-sync-test-${process.pid}`;
const started: string[] = [];

beforeAll(async () => {
  engine = await dockerEngine(say);
  await makeNodeImage(BASE);
  const context = mkdtempSync(join(tmpdir(), 'image-context-'));
  for (const name of COPIED) cpSync(join(ROOT, name), join(context, name), { recursive: true });
  for (const name of ['.env', 'src/.env', 'config/.env.local', 'secret.txt'])
    writeFileSync(join(context, name), PLANTED);
  const build = ['build', '--network', 'none', '--build-arg', `NODE_IMAGE=${BASE}`];
  await docker(...build, '--target', 'build', '--tag', BUILD, context);
  await docker(...build, '--tag', IMAGE, context);
  rmSync(context, { recursive: true });
  database = await freshDatabase(injectServices().mysql);
  await setUpTables(database.connection);
  simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
});
afterAll(async () => {
  // Only what was made here, by name: the engine may be somebody's own.
  for (const id of started) await docker('rm', '--force', '--volumes', id).catch(say);
  await docker('volume', 'rm', volume).catch(say);
  for (const image of [IMAGE, BUILD, BASE]) await docker('rmi', image).catch(say);
  await simulator[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

/** As an operator who trusts nothing would start it. */
async function start(...args: string[]): Promise<string> {
  const { host, port, user, password, name } = database.settings;
  const env = {
    DB_HOST: host,
    DB_PORT: port,
    DB_USER: user,
    DB_PASSWORD: password,
    DB_NAME: name,
    ITERABLE_API_KEY: 'test-key',
    ITERABLE_API_BASE_URL: simulator.url,
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: 0,
  };
  const bounds = [
    '--read-only',
    '--tmpfs',
    '/tmp',
    '--cap-drop',
    'ALL',
    '--security-opt',
    'no-new-privileges',
  ];
  const settings = Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`]);
  const id = await docker(
    'run',
    '--detach',
    '--network',
    'host',
    ...bounds,
    '--volume',
    `${volume}:/var/lib/iterable-sync`,
    ...settings,
    IMAGE,
    ...args,
  );
  started.push(id.trim());
  return id.trim();
}

const inside = (id: string, script: string): Promise<string> =>
  docker('exec', id, 'node', '-e', script);
const exitCode = async (id: string): Promise<string> =>
  (await docker('inspect', '--format', '{{.State.ExitCode}}', id)).trim();

test('it delivers without root and with nothing to write to but its volume, and stops cleanly', async () => {
  const id = await start();
  await until('the seeded users are there', () => Promise.resolve(simulator.users.size === 3));
  expect(await inside(id, 'console.log(process.getuid(), process.getgid())')).toBe('1000 1000\n');
  const tried =
    "for (const f of ['/x', '/app/x', '/app/src', '/usr/x']) { try { fs.writeFileSync(f + '1', ''); console.log(f) } catch {} }";
  expect(await inside(id, tried)).toBe('');
  const modes =
    "for (const f of ['', 'topics.db']) console.log((fs.statSync('/var/lib/iterable-sync/' + f).mode & 0o777).toString(8))";
  expect(await inside(id, modes)).toBe('700\n600\n');
  const began = performance.now();
  await docker('stop', '--time', '30', id);
  // With no handler the engine would kill it after 30 s, with code 137.
  expect(performance.now() - began).toBeLessThan(15_000);
  expect(await exitCode(id)).toBe('0');
  const logs = await run('bash', ['-c', 'docker logs "$1" 2>&1', 'logs', id]);
  expect(logs).toContain('stopped; everything finished is saved');
  expect(logs).not.toMatch(/test-key|email\.com/);
});

// Guards the handlers for process 1 in main.ts: doctor has none of its own.
test('a command that does not listen for signals ends at one all the same', async () => {
  const id = await start('doctor', '--json');
  await docker('wait', id);
  expect(['0', '3']).toContain(await exitCode(id));
  const hanging = await docker(
    'run',
    '--detach',
    '--network',
    'none',
    '--entrypoint',
    'node',
    IMAGE,
    '--import',
    'data:text/javascript,setInterval(()=>{},1e3);setTimeout(()=>console.log("up"),500)',
    '/app/dist/main.js',
    '--version',
  );
  started.push(hanging.trim());
  await until('it is up', async () => (await docker('logs', hanging.trim())).includes('\n'));
  await docker('stop', '--time', '30', hanging.trim());
  expect(['0', '143']).toContain(await exitCode(hanging.trim()));
});

// Guards .dockerignore and the two stages of the Dockerfile.
test('no secret of the folder it was built in is in the image', async () => {
  const script = `set -o pipefail; docker save "$1" | grep -c -a -F '${PLANTED}' || true`;
  const held = await run('bash', ['-c', script, 'save', IMAGE]);
  expect(held.trim()).toBe('0');
  const history = await docker('history', '--no-trunc', '--format', '{{.CreatedBy}}', IMAGE);
  expect(history).not.toMatch(/PASSWORD|API_KEY/);
  const config = JSON.parse(
    await docker('inspect', '--format', '{{json .Config}}', IMAGE),
  ) as Record<string, unknown>;
  expect(config).toMatchObject({
    User: '1000:1000',
    Entrypoint: [
      'node',
      '--max-old-space-size=400',
      '--max-semi-space-size=8',
      '/app/dist/main.js',
    ],
    Cmd: ['run'],
  });
});
