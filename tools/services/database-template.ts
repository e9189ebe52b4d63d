import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, prepared } from './cache.ts';
import { run, which } from './commands.ts';
import { ROOT_PASSWORD } from './database-flags.ts';
import { userFlags } from './database-programs.ts';
import type { DatabaseProgram } from './database-programs.ts';
import type { Say } from './types.ts';

const ZONE_FILES = '/usr/share/zoneinfo';

/**
 * A data directory as a server makes it at first (some 4 s), kept to be copied (0.4 s): with
 * `root`'s password, reachable from everywhere, and the named time zones where there are any.
 */
export async function dataTemplate(cache: string, program: DatabaseProgram, say: Say) {
  const name = `data-${program.flavour}-${program.version}`.replaceAll(/[^\w.-]/g, '_');
  return await prepared(cache, name, say, async (folder) => {
    say(`initialising a data directory of ${program.flavour} ${program.version}`);
    const data = join(folder, 'data');
    if (program.flavour === 'mysql') await initialiseMysql(program, folder, data);
    else await initialiseMariadb(program, data);
    // Its identity: every copy makes itself one of its own.
    await rm(join(data, 'auto.cnf'), { force: true });
  });
}

async function initialiseMysql(program: DatabaseProgram, folder: string, data: string) {
  const initFile = join(folder, 'init.sql');
  await writeFile(
    initFile,
    `ALTER USER 'root'@'localhost' IDENTIFIED BY '${ROOT_PASSWORD}';\n` +
      `CREATE USER 'root'@'%' IDENTIFIED BY '${ROOT_PASSWORD}';\n` +
      `GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;\n` +
      (await zoneStatements(program)),
  );
  await run(program.command, [
    ...program.args,
    ...userFlags(),
    '--initialize-insecure',
    `--datadir=${data}`,
    `--init-file=${initFile}`,
    '--skip-log-bin',
    '--innodb-flush-log-at-trx-commit=0',
  ]);
  await rm(initFile);
}

async function initialiseMariadb(program: DatabaseProgram, data: string) {
  await mkdir(data);
  const args = [...program.args, ...userFlags(), '--bootstrap', `--datadir=${data}`];
  if (program.systemTables === null) await installMariadb(data);
  else await run(program.command, args, { input: await systemStatements(program.systemTables) });
  const everyRoot = ['localhost', '%'].map(
    (host) =>
      `GRANT ALL ON *.* TO 'root'@'${host}' IDENTIFIED BY '${ROOT_PASSWORD}' WITH GRANT OPTION;\n`,
  );
  // Bootstrap starts without accounts; FLUSH PRIVILEGES loads them, so that GRANT is understood.
  const input = `FLUSH PRIVILEGES;\n${everyRoot.join('')}${await zoneStatements(program)}`;
  await run(program.command, args, { input });
}

async function installMariadb(data: string): Promise<void> {
  await run(which('mariadb-install-db') ?? 'mariadb-install-db', [
    '--no-defaults',
    ...userFlags(),
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    // It would not go on where the machine's own name resolves to nothing; we come by 127.0.0.1.
    '--force',
  ]);
}

/** What `mariadb-install-db`, a script that knows no other loader, feeds the server with. */
async function systemStatements(folder: string): Promise<string> {
  const names = ['system_tables', 'performance_tables', 'system_tables_data', 'sys_schema'];
  const files = await Promise.all(
    names.map((name) => readFile(join(folder, `mariadb_${name}.sql`), 'utf8')),
  );
  const begin = 'CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n';
  return begin + files.join('\n');
}

/** What fills the time zone tables: one line a statement. Nothing where the machine has no zones. */
async function zoneStatements({ zoneLoader }: DatabaseProgram): Promise<string> {
  if (zoneLoader === null || !(await exists(ZONE_FILES))) return '';
  return `USE mysql;\n${await run(zoneLoader.command, [...zoneLoader.args, ZONE_FILES])}`;
}
