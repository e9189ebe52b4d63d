import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { servicesDir, exists } from './cache.ts';
import { ROOT_PASSWORD, binlogFlags } from './database-flags.ts';
import { prepareDatabaseProgram, userFlags } from './database-programs.ts';
import { dataTemplate } from './database-template.ts';
import { askVersion } from './database-version.ts';
import { freePorts, serverFolder } from './folders.ts';
import { ServerProcess } from './server-process.ts';
import { flavourOf } from './types.ts';
import type { DatabaseKind, DatabaseServer, DatabaseStartOptions, Flavour } from './types.ts';

/** Starts a database server as a process of this machine, on a copy of the prepared data. */
export async function startNativeDatabase(
  kind: DatabaseKind,
  options: DatabaseStartOptions,
): Promise<DatabaseServer> {
  const flavour = flavourOf(kind);
  const cache = servicesDir();
  const program = await prepareDatabaseProgram(cache, kind, options.say);
  const template = await dataTemplate(cache, program, options.say);
  const folder = await serverFolder(options.dir);
  const data = join(folder.path, 'data');
  if (!(await exists(data))) {
    await cp(join(template, 'data'), data, { recursive: true, preserveTimestamps: true });
  }
  // Its own: a server that starts removes what it takes for leftovers in the folder of all.
  await mkdir(join(folder.path, 'tmp'), { recursive: true });
  const port = options.port ?? (await freePorts(1))[0]!;
  const login = { host: '127.0.0.1', port, user: 'root', password: ROOT_PASSWORD };
  const logFile = join(folder.path, 'error.log');
  const server = new ServerProcess({
    name: `${flavour} ${program.version}`,
    command: program.command,
    args: [...program.args, ...serverFlags(flavour, folder.path, port), ...chosenFlags()],
    cwd: folder.path,
    logFile,
    answers: async () => (await askVersion(login)) !== null,
  });
  function chosenFlags() {
    return [...binlogFlags(flavour, options.gtid ?? true), ...(options.flags ?? [])];
  }
  try {
    await server.start();
  } catch (error) {
    await folder.discard();
    throw error;
  }
  const stop = async () => {
    await server.stop();
    await folder.discard();
  };
  // Data that are thrown away need not be put in order first.
  const drop = async () => {
    await server.end();
    await folder.discard();
  };
  return {
    ...login,
    flavour,
    version: (await askVersion(login)) ?? program.version,
    dir: folder.path,
    get pid() {
      return server.pid;
    },
    stop,
    kill: () => server.kill(),
    restart: () => server.restart(),
    [Symbol.asyncDispose]: options.dir === undefined ? drop : stop,
  };
}

function serverFlags(flavour: Flavour, folder: string, port: number): string[] {
  return [
    ...userFlags(),
    `--datadir=${join(folder, 'data')}`,
    `--socket=${join(folder, 'server.sock')}`,
    `--pid-file=${join(folder, 'server.pid')}`,
    `--tmpdir=${join(folder, 'tmp')}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    ...(flavour === 'mysql' ? ['--mysqlx=OFF', '--secure-file-priv=NULL'] : []),
  ];
}
