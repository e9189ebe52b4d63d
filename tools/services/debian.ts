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

/**
 * The archive that this machine's apt takes Debian from; its other suites are in the same place.
 * @throws UnavailableError where apt has none.
 */
export async function debianArchive(): Promise<string> {
  const format = ['--format', '$(RELEASE) $(REPO_URI)', 'Created-By: Packages'];
  const archive = readArchive(await run('apt-get', ['indextargets', ...format]));
  if (archive !== null) return archive;
  throw new UnavailableError('apt knows no Debian archive: name one in /etc/apt/sources.list.');
}

/** Of lines such as `bookworm-security http://…`: the place of a whole suite, not of its updates. */
export function readArchive(lines: string): string | null {
  const targets = lines.split('\n').map((line) => line.trim().split(' '));
  return targets.find(([release, uri]) => uri && !/[-/]/.test(release ?? ''))?.[1] ?? null;
}
