import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { servicesDir } from './cache.ts';
import { succeeds, which } from './commands.ts';
import { installPackages } from './debian.ts';
import { ServerProcess } from './server-process.ts';
import type { Say } from './types.ts';

const INFO_MS_MAX = 5_000;
const PULL_MS_MAX = 300_000;

/** Whether a Docker engine answers the `docker` command. */
export async function dockerAnswers(): Promise<boolean> {
  return which('docker') !== null && (await succeeds('docker', ['info'], INFO_MS_MAX));
}

/**
 * A Docker engine: the one that runs, or one that is started here and stopped with the answer's
 * disposal (its images stay for the next time). Root on Debian can have it installed.
 * @throws UnavailableError where there is none and none can be installed.
 */
export async function dockerEngine(say: Say): Promise<AsyncDisposable> {
  if (await dockerAnswers()) return { [Symbol.asyncDispose]: async () => {} };
  const cache = servicesDir();
  if (which('dockerd') === null) await installPackages(cache, ['docker.io'], 'Docker', say);
  say('starting a Docker engine (dockerd)');
  await mkdir(cache, { recursive: true });
  const engine = new ServerProcess({
    name: 'dockerd',
    command: which('dockerd') ?? 'dockerd',
    args: [],
    cwd: cache,
    logFile: join(cache, 'dockerd.log'),
    answers: dockerAnswers,
  });
  await engine.start();
  return { [Symbol.asyncDispose]: () => engine.stop() };
}

export const imageIsHere = (image: string): Promise<boolean> =>
  succeeds('docker', ['image', 'inspect', image]);

/** Whether the image is here after trying to pull it. Says so when it can't be had. */
export async function pullImage(image: string, say: Say): Promise<boolean> {
  say(`pulling the image ${image}`);
  if (await succeeds('docker', ['pull', '--quiet', image], PULL_MS_MAX)) return true;
  say(`the image ${image} can't be pulled`);
  return false;
}
