import { UnavailableError } from '../../src/errors.ts';
import { withLock } from './cache.ts';
import { isRoot, run, which } from './commands.ts';
import type { Say } from './types.ts';

export const canInstallPackages = (): boolean => isRoot() && which('apt-get') !== null;

/**
 * Installs Debian packages, after bringing the package lists up to date.
 * @throws UnavailableError on a machine where that can't be done, saying what to do instead.
 */
export async function installPackages(
  cache: string,
  packages: readonly string[],
  why: string,
  say: Say,
): Promise<void> {
  if (!canInstallPackages()) {
    throw new UnavailableError(
      `${why} needs ${packages.join(', ')}: install it, start Docker, or run as root on Debian.`,
    );
  }
  await withLock(cache, 'apt', say, async () => {
    say(`installing ${packages.join(', ')} by apt-get (${why})`);
    const options = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', [...options, 'update'], { env });
    await run('apt-get', [...options, 'install', '-y', '--no-install-recommends', ...packages], {
      env,
    });
  });
}
