import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageLock } from '../../tools/package-lock.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
  bundleDependencies: string[];
  files: string[];
};

describe('the package', () => {
  it('brings the tested version of every dependency along, or names it exactly where it is built for a machine', () => {
    const exact = Object.entries(manifest.dependencies).filter(([, range]) => /^\d/.test(range));
    const named = new Set([...manifest.bundleDependencies, ...exact.map(([name]) => name)]);
    expect(new Set(Object.keys(manifest.dependencies))).toEqual(named);
  });

  it('has a lock file without what only a checkout needs, and without a registry', () => {
    const { packages } = packageLock(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
    expect(packages['']).not.toHaveProperty('devDependencies');
    for (const name of Object.keys(manifest.dependencies))
      expect(packages).toHaveProperty([`node_modules/${name}`]);
    for (const name of ['node', 'vitest'])
      expect(packages).not.toHaveProperty([`node_modules/${name}`]);
    const text = JSON.stringify({
      lockfileVersion: 3,
      packages: { '': {}, 'node_modules/a': { version: '1.0.0', resolved: 'https://registry' } },
    });
    expect(packageLock(text).packages).toEqual({ '': {}, 'node_modules/a': { version: '1.0.0' } });
  });
});

describe('the launcher', () => {
  /** As npm installs the package, in a folder of its own; `node` is the one on the PATH. */
  function start(node: string | null, beside: boolean, env: Record<string, string> = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'launcher-'));
    const home = join(folder, 'node_modules', 'iterable-sync');
    const path = join(folder, 'bin');
    for (const made of [join(home, 'dist'), path]) mkdirSync(made, { recursive: true });
    cpSync(join(ROOT, 'bin'), join(home, 'bin'), { recursive: true });
    writeFileSync(join(home, 'dist', 'main.js'), 'console.log("runs", process.argv.slice(2))');
    for (const tool of ['sh', 'dirname', 'readlink']) symlinkSync(`/bin/${tool}`, join(path, tool));
    if (node === 'current') symlinkSync(process.execPath, join(path, 'node'));
    else if (node !== null)
      writeFileSync(join(path, 'node'), `#!/bin/sh\necho ${node}\n`, { mode: 0o755 });
    if (beside) {
      mkdirSync(join(folder, 'node_modules', 'node', 'bin'), { recursive: true });
      symlinkSync(process.execPath, join(folder, 'node_modules', 'node', 'bin', 'node'));
    }
    const program = join(home, 'bin', 'iterable-sync');
    return spawnSync(program, ['doctor'], { encoding: 'utf8', env: { PATH: path, ...env } });
  }

  it('takes the Node on the PATH, else that of the npm package beside it', () => {
    for (const { status, stdout } of [start('current', false), start('v20.1.0', true)]) {
      expect(stdout).toBe("runs [ 'doctor' ]\n");
      expect(status).toBe(0);
    }
  });

  it('keeps what the code compiles to beside other caches of a user who has a home', () => {
    const user = mkdtempSync(join(tmpdir(), 'launcher-user-'));
    const kept = join(user, '.cache', 'iterable-sync');
    expect(start('current', false).status).toBe(0);
    expect(start('current', false, { HOME: join(user, 'nowhere') }).status).toBe(0);
    expect(existsSync(join(user, 'nowhere'))).toBe(false);
    expect(start('current', false, { HOME: user }).status).toBe(0);
    expect(existsSync(kept)).toBe(true);
    const elsewhere = join(user, 'elsewhere');
    expect(start('current', false, { HOME: user, XDG_CACHE_HOME: elsewhere }).status).toBe(0);
    expect(existsSync(join(elsewhere, 'iterable-sync'))).toBe(true);
  });

  it.each([
    ['v20.1.0', 'the one on the PATH is v20.1.0'],
    [null, 'there is none on the PATH'],
  ])('says in one sentence what to do where no Node is new enough (%s)', (node, found) => {
    const { status, stderr } = start(node, false);
    expect(status).toBe(2);
    expect(stderr).toBe(
      `error: iterable-sync needs Node 24 or later, and ${found}; put one first on the PATH, or run: npm install node@26\n`,
    );
  });
});
