import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './commands.ts';
import type { Say } from './types.ts';

const LOCK_POLL_MS = 200;
/** A lock without its owner's name is being made, or was left by a crash between two system calls. */
const NAMELESS_LOCK_MS_MAX = 5_000;

/** Where everything fetched is kept: `.services/` at the root of the repository, git-ignored. */
export function servicesDir(env: NodeJS.ProcessEnv = process.env): string {
  const given = env['ITERABLE_SYNC_SERVICES_DIR'];
  return given ? resolve(given) : resolve(import.meta.dirname, '../../.services');
}

export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * The folder `name` of the cache, built by `build` when it isn't there. It is built under another
 * name and renamed when it is complete, so a folder that exists is whole, and one that was broken
 * off is built again. Of several processes that want it, one builds and the others wait.
 */
export async function prepared(
  cache: string,
  name: string,
  say: Say,
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(cache, name);
  if (await exists(folder)) return folder;
  return await withLock(cache, name, say, async () => {
    if (await exists(folder)) return folder;
    // A name of its own: a broken-off preparation may have left a child that still writes.
    const partial = `${folder}.partial-${process.pid}`;
    for (const old of await readdir(cache)) {
      if (old.startsWith(`${name}.partial`)) await removeTree(join(cache, old));
    }
    await mkdir(partial, { recursive: true });
    await build(partial);
    await rename(partial, folder);
    return folder;
  });
}

/** Runs `work` while no other process does the same under this name. A dead owner's lock is taken over. */
export async function withLock<T>(
  cache: string,
  name: string,
  say: Say,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(cache, { recursive: true });
  const lock = join(cache, `${name}.lock`);
  let said = false;
  while (!(await takeLock(lock))) {
    const owner = await ownerOf(lock);
    if (owner === 'dead') {
      // Renamed first: of two that see it dead, one rename succeeds, and no fresh lock is removed.
      const aside = `${lock}.${process.pid}`;
      await rename(lock, aside).catch(() => {});
      await rm(aside, { recursive: true, force: true });
      continue;
    }
    if (!said) say(`waiting for process ${owner}, which prepares ${name}`);
    said = true;
    await sleep(LOCK_POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

async function takeLock(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  await writeFile(join(lock, 'pid'), String(process.pid));
  return true;
}

async function ownerOf(lock: string): Promise<number | 'dead' | 'unknown'> {
  const pid = Number(await readFile(join(lock, 'pid'), 'utf8').catch(() => ''));
  if (pid > 0) return isAlive(pid) ? pid : 'dead';
  const made = await stat(lock).catch(() => null);
  const nameless = made !== null && Date.now() - made.mtimeMs > NAMELESS_LOCK_MS_MAX;
  return nameless ? 'dead' : 'unknown';
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Removes a folder; what a broken-off debootstrap left mounted in it (/proc) is unmounted first. */
async function removeTree(folder: string): Promise<void> {
  const mounts = await readFile('/proc/self/mounts', 'utf8').catch(() => '');
  const inside = mounts
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${folder}/`));
  for (const point of inside.toReversed()) await run('umount', ['--lazy', point]);
  await rm(folder, { recursive: true, force: true });
}
