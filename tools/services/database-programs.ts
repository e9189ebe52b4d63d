import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UnavailableError } from '../../src/errors.ts';
import { exists, prepared } from './cache.ts';
import { isRoot, run, which } from './commands.ts';
import { isAtLeast, readVersionLine } from './database-flags.ts';
import { canInstallPackages, installPackages } from './debian.ts';
import { flavourOf } from './types.ts';
import type { DatabaseKind, Flavour, Say } from './types.ts';

/** A server program on this machine, and how to call it: `command ...args ...options`. */
export interface DatabaseProgram {
  flavour: Flavour;
  version: string;
  command: string;
  args: readonly string[];
  /** Turns the time zone files of the machine into SQL, called with their folder; null: there is none. */
  zoneLoader: { command: string; args: readonly string[] } | null;
  /** The folder with the SQL that makes MariaDB's system tables; null: `mariadb-install-db` has it. */
  systemTables: string | null;
}

const VERSION_LEAST: Record<DatabaseKind, string> = {
  mysql: '8.4',
  mariadb: '10.11',
  mariadb11: '11.8',
};
/** Servers that Debian packages in its unstable suite, `sid`: each has a folder of its own. */
const IN_SID = {
  mysql: { folder: 'mysql-sid', name: 'MySQL', packages: 'mysql-server-core' },
  mariadb11: {
    folder: 'mariadb-sid',
    name: 'MariaDB 11.8',
    packages: 'mariadb-server-core,mariadb-client',
  },
} as const;
type KindInSid = keyof typeof IN_SID;

/** The program when nothing has to be fetched for it, else null. */
export async function findDatabaseProgram(
  cache: string,
  kind: DatabaseKind,
): Promise<DatabaseProgram | null> {
  for (const name of kind === 'mysql' ? ['mysqld'] : ['mariadbd', 'mysqld']) {
    const command = which(name);
    if (command === null) continue;
    const found = readVersionLine(await run(command, ['--version']).catch(() => ''));
    if (found?.flavour !== flavourOf(kind)) continue;
    if (!isAtLeast(found.version, VERSION_LEAST[kind])) continue;
    const zoneLoader = hostZoneLoader();
    return { ...found, command, args: ['--no-defaults'], zoneLoader, systemTables: null };
  }
  if (kind === 'mariadb') return null;
  const root = join(cache, IN_SID[kind].folder);
  return (await exists(root)) ? await programInRoot(root, kind) : null;
}

/**
 * The program, fetched when need be: MariaDB is a Debian package; the real MySQL and MariaDB 11.8
 * come from Debian sid, each in a folder of its own (some 30 s), so that the machine's own packages
 * stay as they are.
 * @throws UnavailableError where neither can be done, saying what to install.
 */
export async function prepareDatabaseProgram(
  cache: string,
  kind: DatabaseKind,
  say: Say,
): Promise<DatabaseProgram> {
  const found = await findDatabaseProgram(cache, kind);
  if (found !== null) return found;
  if (kind !== 'mariadb') return await programInRoot(await rootInSid(cache, kind, say), kind);
  // The core package: the server without the service that the whole package would start.
  const packages = ['mariadb-server-core', 'mariadb-client', 'tzdata'];
  await installPackages(cache, packages, 'MariaDB', say);
  const installed = await findDatabaseProgram(cache, kind);
  if (installed !== null) return installed;
  throw new UnavailableError(
    `apt-get installed no MariaDB >= ${VERSION_LEAST.mariadb}: install one, or start Docker.`,
  );
}

/** The folder with a small Debian sid and its MySQL server. */
export const mysqlRoot = (cache: string, say: Say): Promise<string> =>
  rootInSid(cache, 'mysql', say);

async function rootInSid(cache: string, kind: KindInSid, say: Say): Promise<string> {
  const { folder: name, name: what, packages } = IN_SID[kind];
  if (!canInstallPackages()) {
    const program = kind === 'mysql' ? 'mysqld' : 'mariadbd';
    throw new UnavailableError(
      `${what} (>= ${VERSION_LEAST[kind]}) needs \`${program}\` on the PATH, Docker, or root on Debian.`,
    );
  }
  if (which('debootstrap') === null) {
    await installPackages(cache, ['debootstrap', 'debian-archive-keyring'], what, say);
  }
  return await prepared(cache, name, say, async (folder) => {
    say(`fetching ${what} from Debian sid by debootstrap (some 30 s, 400 MB)`);
    const include = `--include=${packages},tzdata`;
    await run('debootstrap', ['--variant=minbase', include, 'sid', folder]);
    await rm(join(folder, 'var/cache/apt'), { recursive: true, force: true });
  });
}

/**
 * The server in such a folder, run by that folder's own loader and libraries: like that it sees the
 * machine's files (its data may be anywhere) and needs neither chroot nor root.
 */
async function programInRoot(root: string, kind: KindInSid): Promise<DatabaseProgram> {
  const inRoot = await loaderOf(root);
  const isMysql = kind === 'mysql';
  const program = join(root, 'usr/sbin', isMysql ? 'mysqld' : 'mariadbd');
  const command = inRoot(program);
  const args = [...command.args, '--no-defaults', `--basedir=${join(root, 'usr')}`];
  const found = readVersionLine(await run(command.command, [...command.args, '--version']));
  if (found === null) throw new UnavailableError(`${program} does not tell its version.`);
  if (!isAtLeast(found.version, VERSION_LEAST[kind])) {
    throw new UnavailableError(`${program} is ${found.version}: remove ${root} and try again.`);
  }
  const loader = isMysql ? 'mysql_tzinfo_to_sql' : 'mariadb-tzinfo-to-sql';
  const zoneLoader = inRoot(join(root, 'usr/bin', loader));
  const systemTables = isMysql ? null : join(root, 'usr/share/mariadb');
  return { ...found, command: command.command, args, zoneLoader, systemTables };
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
