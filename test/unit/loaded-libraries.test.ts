import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
/** Says at the end which packages were resolved. */
const RECORDER = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  const packages = new Set();
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      const name = /\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)\\/(?!.*\\/node_modules\\/)/.exec(resolved.url)?.[1];
      if (name !== undefined) packages.add(name);
      return resolved;
    },
  });
  process.on('exit', () => process.stdout.write('PACKAGES ' + JSON.stringify([...packages]) + '\\n'));
`)}`;
/** Nobody listens there. */
const NOWHERE = {
  DB_HOST: '127.0.0.1',
  DB_PORT: '1',
  DB_USER: 'nobody',
  DB_PASSWORD: '',
  DB_NAME: 'nothing',
  ITERABLE_API_KEY: 'any',
  LOG_FILE: 'off',
};

async function packagesOf(...args: string[]): Promise<string[]> {
  const run = promisify(execFile)(process.execPath, ['--import', RECORDER, MAIN, ...args], {
    env: NOWHERE,
  });
  const { stdout } = await run.catch((error: unknown) => error as { stdout: string });
  return JSON.parse(/^PACKAGES (.*)$/m.exec(stdout)?.[1] ?? 'null') as string[];
}

describe('a command loads the libraries that it needs alone, and so takes no memory for others', () => {
  const heavy = ['kafkajs', '@vlasky/zongji', 'prom-client', 'undici', '@clack/prompts'];

  it.each([
    [['--version'], [...heavy, 'mysql2'], 'commander'],
    [['backfill', '--dry-run'], [...heavy, 'bottleneck'], 'mysql2'],
  ])('%j', { timeout: 20_000 }, async (args, without, needed) => {
    const packages = await packagesOf(...args);
    expect(packages).toContain(needed);
    expect(packages.filter((name) => without.includes(name))).toEqual([]);
  });
});
