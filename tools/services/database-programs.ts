import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UnavailableError } from '../../src/errors.ts';
import { exists, prepared } from './cache.ts';
import { isRoot, run, which } from './commands.ts';
import { isAtLeast, readVersionLine } from './database-flags.ts';
import { canInstallPackages, installPackages } from './debian.ts';
import type { Flavour, Say } from './types.ts';

/** A server program on this machine, and how to call it: `command ...args ...options`. */
export interface DatabaseProgram {
  flavour: Flavour;
  version: string;
  command: string;
  args: readonly string[];
  /** Turns the time zone files of the machine into SQL, called with their folder; null: there is none. */
  zoneLoader: { command: string; args: readonly string[] } | null;
}

const VERSION_LEAST: Record<Flavour, string> = { mysql: '8.4', mariadb: '10.11' };
/** Debian packages no other MySQL than in its unstable suite, `sid`. */
const MYSQL_FOLDER = 'mysql-sid';

/** The program when nothing has to be fetched for it, else null. */
export async function findDatabaseProgram(
  cache: string,
  flavour: Flavour,
): Promise<DatabaseProgram | null> {
  for (const name of flavour === 'mysql' ? ['mysqld'] : ['mariadbd', 'mysqld']) {
    const command = which(name);
    if (command === null) continue;
    const found = readVersionLine(await run(command, ['--version']).catch(() => ''));
    if (found?.flavour !== flavour) continue;
    if (!isAtLeast(found.version, VERSION_LEAST[flavour])) continue;
    return { ...found, command, args: ['--no-defaults'], zoneLoader: hostZoneLoader() };
  }
  const root = join(cache, MYSQL_FOLDER);
  if (flavour === 'mysql' && (await exists(root))) return await programInRoot(root);
  return null;
}

/**
 * The program, fetched when need be: MariaDB is a Debian package; the real MySQL comes from Debian
 * sid, in a folder of its own (some 30 s), so that the machine's own packages stay as they are.
 * @throws UnavailableError where neither can be done, saying what to install.
 */
export async function prepareDatabaseProgram(
  cache: string,
  flavour: Flavour,
  say: Say,
): Promise<DatabaseProgram> {
  const found = await findDatabaseProgram(cache, flavour);
  if (found !== null) return found;
  if (flavour === 'mysql') return await programInRoot(await mysqlRoot(cache, say));
  // The core package: the server without the service that the whole package would start.
  const packages = ['mariadb-server-core', 'mariadb-client', 'tzdata'];
  await installPackages(cache, packages, 'MariaDB', say);
  const installed = await findDatabaseProgram(cache, flavour);
  if (installed !== null) return installed;
  throw new UnavailableError(
    `apt-get installed no MariaDB >= ${VERSION_LEAST.mariadb}: install one, or start Docker.`,
  );
}

/** The folder with a small Debian sid and its MySQL server. */
export async function mysqlRoot(cache: string, say: Say): Promise<string> {
  if (!canInstallPackages()) {
    throw new UnavailableError(
      `MySQL >= ${VERSION_LEAST.mysql} needs \`mysqld\` on the PATH, Docker, or root on Debian.`,
    );
  }
  if (which('debootstrap') === null) {
    await installPackages(cache, ['debootstrap', 'debian-archive-keyring'], 'MySQL', say);
  }
  return await prepared(cache, MYSQL_FOLDER, say, async (folder) => {
    say('fetching MySQL from Debian sid by debootstrap (some 30 s, 400 MB)');
    const include = '--include=mysql-server-core,tzdata';
    await run('debootstrap', ['--variant=minbase', include, 'sid', folder]);
    await rm(join(folder, 'var/cache/apt'), { recursive: true, force: true });
  });
}

/**
 * The MySQL in such a folder, run by that folder's own loader and libraries: like that it sees the
 * machine's files (its data may be anywhere) and needs neither chroot nor root.
 */
async function programInRoot(root: string): Promise<DatabaseProgram> {
  const inRoot = await loaderOf(root);
  const mysqld = join(root, 'usr/sbin/mysqld');
  const command = inRoot(mysqld);
  const args = [...command.args, '--no-defaults', `--basedir=${join(root, 'usr')}`];
  const found = readVersionLine(await run(command.command, [...command.args, '--version']));
  if (found === null) throw new UnavailableError(`${mysqld} does not tell its version.`);
  const zoneLoader = inRoot(join(root, 'usr/bin/mysql_tzinfo_to_sql'));
  return { ...found, command: command.command, args, zoneLoader };
}

async function loaderOf(root: string) {
  const library = join(root, 'usr/lib');
  const triple = (await readdir(library)).find((name) => name.endsWith('-linux-gnu'));
  for (const folder of [join(root, 'usr/lib64'), library]) {
    const names = await readdir(folder).catch(() => []);
    const loader = names.find((name) => /^ld-linux.*\.so\.\d+$/.test(name));
    if (loader === undefined || triple === undefined) continue;
    const command = join(folder, loader);
    const libraries = ['--library-path', join(library, triple)];
    return (program: string) => ({ command, args: [...libraries, '--argv0', program, program] });
  }
  throw new UnavailableError(`${root} holds no dynamic loader: remove the folder and try again.`);
}

function hostZoneLoader() {
  const names = ['mariadb-tzinfo-to-sql', 'mysql_tzinfo_to_sql'];
  const command = names.map(which).find((path) => path !== null);
  return command === undefined ? null : { command, args: [] };
}

/** As root, a server insists on being told that this is meant. */
export const userFlags = (): string[] => (isRoot() ? ['--user=root'] : []);
