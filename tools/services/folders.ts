import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from './cache.ts';

const PREFIX = 'iterable-sync-server-';

export interface ServerFolder {
  path: string;
  /** Removes a temporary folder; leaves a given one. */
  discard(): Promise<void>;
}

/** The folder given, made if need be, or a fresh temporary one that carries our process id. */
export async function serverFolder(given: string | undefined): Promise<ServerFolder> {
  if (given !== undefined) {
    await mkdir(given, { recursive: true });
    return { path: given, discard: async () => {} };
  }
  await sweep();
  const path = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  return { path, discard: () => rm(path, { recursive: true, force: true }) };
}

/** Removes what processes that were killed left behind: some 200 MB for each server. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = ownerOfFolder(name);
    if (owner === null || isAlive(owner)) continue;
    await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** The process id in a temporary folder's name; null for anything that isn't one of ours. */
export function ownerOfFolder(name: string): number | null {
  if (!name.startsWith(PREFIX)) return null;
  const pid = /^([1-9]\d*)-/.exec(name.slice(PREFIX.length))?.[1];
  return pid === undefined ? null : Number(pid);
}

/** Ports that were free on 127.0.0.1 a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      server.once('error', reject).listen(0, '127.0.0.1', resolve);
      await promise;
      return server;
    }),
  );
  return await Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      await promise;
      if (address === null || typeof address === 'string') throw new Error('no TCP address');
      return address.port;
    }),
  );
}
