import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UnavailableError } from '../../src/errors.ts';
import { prepared, servicesDir } from './cache.ts';
import { run, succeeds } from './commands.ts';
import { canInstallPackages, debianArchive } from './debian.ts';
import type { Say } from './types.ts';

/** Debian's oldest suite with a Compose of version 2. */
const SUITE = 'trixie';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * How Compose is called here: `docker compose`, or a Compose unpacked from Debian's package (13 MB)
 * beside the machine's own packages.
 * @throws UnavailableError where neither can be had.
 */
export async function composeCommand(say: Say): Promise<string[]> {
  if (await succeeds('docker', ['compose', 'version'])) return ['docker', 'compose'];
  if (!canInstallPackages()) {
    throw new UnavailableError('docker compose is missing: install it, or run as root on Debian.');
  }
  const folder = await prepared(servicesDir(), `compose-${SUITE}`, say, async (partial) => {
    say(`fetching Docker Compose from Debian ${SUITE} (13 MB)`);
    await unpackPackage('docker-compose', partial);
  });
  return [join(folder, 'usr/libexec/docker/cli-plugins/docker-compose')];
}

/** Fetches and unpacks one package, with package lists of its own, and installs nothing. */
async function unpackPackage(name: string, folder: string): Promise<void> {
  const lists = join(folder, 'lists');
  const source = join(folder, 'sources.list');
  await mkdir(join(lists, 'partial'), { recursive: true });
  const archive = await debianArchive();
  await writeFile(source, `deb [signed-by=${KEYRING}] ${archive} ${SUITE} main\n`);
  const settings = {
    'Dir::Etc::sourcelist': source,
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': lists,
    'Dir::Cache': lists,
    'APT::Sandbox::User': 'root',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  await run('apt-get', ['-q', ...options, 'update']);
  await run('apt-get', ['-q', ...options, 'download', name], { cwd: folder });
  await run('sh', ['-c', 'dpkg-deb -x "$1"/*.deb "$1" && rm "$1"/*.deb', 'unpack', folder]);
  await rm(lists, { recursive: true });
}
