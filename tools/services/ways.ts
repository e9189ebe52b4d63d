import { UnavailableError, UsageError } from '../../src/errors.ts';
import type { Way } from './types.ts';

/** What can be found out about the two ways, the cheap questions apart from the costly one. */
export interface Means {
  /** A Docker engine answers. */
  dockerAnswers(): Promise<boolean>;
  /** The image is here already. */
  imageIsHere(): Promise<boolean>;
  /** Fetches the image; false when it can't be had. */
  pullImage(): Promise<boolean>;
  /** The program is here already. */
  nativeIsReady(): Promise<boolean>;
  /** It could be fetched. */
  nativeCanBePrepared(): boolean;
}

/**
 * Docker before native, but what is here already before what has to be fetched.
 * @throws UnavailableError when there is no way, saying what to do.
 */
export async function chooseWay(name: string, means: Means): Promise<Way> {
  const docker = await means.dockerAnswers();
  if (docker && (await means.imageIsHere())) return 'docker';
  if (await means.nativeIsReady()) return 'native';
  if (docker && (await means.pullImage())) return 'docker';
  if (means.nativeCanBePrepared()) return 'native';
  throw new UnavailableError(
    `No ${name} can be started here: start Docker, install ${name}, or run as root on Debian.`,
  );
}

/** ITERABLE_SYNC_SERVICES: `docker` or `native`, where the choice is to be forced. */
export function forcedWay(env: NodeJS.ProcessEnv): Way | null {
  const value = env['ITERABLE_SYNC_SERVICES'];
  if (value === undefined || value === '') return null;
  if (value === 'docker' || value === 'native') return value;
  throw new UsageError(`ITERABLE_SYNC_SERVICES is '${value}': it can be docker or native.`);
}
