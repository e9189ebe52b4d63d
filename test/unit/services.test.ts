import fc from 'fast-check';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UnavailableError, UsageError } from '../../src/errors.ts';
import { prepared, servicesDir, withLock } from '../../tools/services/cache.ts';
import { run } from '../../tools/services/commands.ts';
import { binlogFlags, isAtLeast, readVersionLine } from '../../tools/services/database-flags.ts';
import { readArchive } from '../../tools/services/debian.ts';
import { freePorts, ownerOfFolder } from '../../tools/services/folders.ts';
import {
  brokersByVariable,
  databaseByUrl,
  databaseByVariables,
} from '../../tools/services/given.ts';
import { namedImage } from '../../tools/services/images.ts';
import { environmentName, kafkaProperties } from '../../tools/services/kafka-properties.ts';
import { chooseWay, forcedWay } from '../../tools/services/ways.ts';
import type { Means } from '../../tools/services/ways.ts';

const DEAD_PID = 2 ** 22 + 1; // Above Linux' highest process id.
const quiet = () => {};

describe('preparing', () => {
  let cache: string;
  beforeEach(async () => {
    cache = await mkdtemp(join(tmpdir(), 'services-test-'));
  });
  afterEach(async () => {
    await rm(cache, { recursive: true, force: true });
  });

  test('what was prepared once is not prepared again', async () => {
    let builds = 0;
    const build = async (folder: string) => {
      builds += 1;
      await writeFile(join(folder, 'file'), 'whole');
    };
    const folder = await prepared(cache, 'thing', quiet, build);
    expect(await prepared(cache, 'thing', quiet, build)).toBe(folder);
    expect(builds).toBe(1);
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('whole');
  });

  test('a preparation that broke off is done again from nothing', async () => {
    const broken = prepared(cache, 'thing', quiet, async (folder) => {
      await writeFile(join(folder, 'half'), '');
      throw new Error('no network');
    });
    await expect(broken).rejects.toThrow('no network');
    const folder = await prepared(cache, 'thing', quiet, (partial) =>
      writeFile(join(partial, 'whole'), ''),
    );
    expect(await readdir(folder)).toEqual(['whole']);
  });

  test('several that want the same thing get it prepared once', async () => {
    let builds = 0;
    const build = async () => {
      builds += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
    };
    const all = [1, 2, 3].map(() => prepared(cache, 'thing', quiet, build));
    await Promise.all(all);
    expect(builds).toBe(1);
  });

  test('the lock of a process that died is taken over', async () => {
    await mkdir(join(cache, 'thing.lock'));
    await writeFile(join(cache, 'thing.lock', 'pid'), String(DEAD_PID));
    expect(await withLock(cache, 'thing', quiet, async () => 'done')).toBe('done');
    expect(await readdir(cache)).toEqual([]);
  });

  test('one who waits for another is told for whom', async () => {
    const lines: string[] = [];
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    const first = withLock(cache, 'thing', quiet, async () => {
      entered.resolve();
      await leave.promise;
    });
    await entered.promise;
    const second = withLock(
      cache,
      'thing',
      (line) => {
        lines.push(line);
        leave.resolve();
      },
      async () => 'done',
    );
    expect(await second).toBe('done');
    await first;
    expect(lines).toEqual([`waiting for process ${process.pid}, which prepares thing`]);
  });

  test('the folder can be chosen by the environment', () => {
    expect(servicesDir({ ITERABLE_SYNC_SERVICES_DIR: '/somewhere' })).toBe('/somewhere');
    expect(servicesDir({})).toMatch(/\.services$/);
  });
});

describe('choosing a way', () => {
  interface World {
    docker: boolean;
    image: boolean;
    pull: boolean;
    ready: boolean;
    installable: boolean;
  }
  const means = (world: World, pulls: string[]): Means => ({
    dockerAnswers: async () => world.docker,
    imageIsHere: async () => world.image,
    pullImage: async () => {
      pulls.push('pull');
      return world.pull;
    },
    nativeIsReady: async () => world.ready,
    nativeCanBePrepared: () => world.installable,
  });
  const worlds = fc.record({
    docker: fc.boolean(),
    image: fc.boolean(),
    pull: fc.boolean(),
    ready: fc.boolean(),
    installable: fc.boolean(),
  });

  test('a way is found exactly where there is one, and Docker only where it works', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async (world) => {
        const byDocker = world.docker && (world.image || world.pull);
        const byNative = world.ready || world.installable;
        const choice = chooseWay('thing', means(world, []));
        if (!byDocker && !byNative) {
          await expect(choice).rejects.toThrow(UnavailableError);
          return;
        }
        const way = await choice;
        expect(way === 'docker' ? byDocker : byNative).toBe(true);
      }),
    );
  });

  test('nothing is pulled where something is here already', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async (world) => {
        fc.pre((world.docker && world.image) || world.ready);
        const pulls: string[] = [];
        await chooseWay('thing', means(world, pulls));
        expect(pulls).toEqual([]);
      }),
    );
  });

  test('the way can be forced by the environment, and only to one that exists', () => {
    expect(forcedWay({ ITERABLE_SYNC_SERVICES: 'docker' })).toBe('docker');
    expect(forcedWay({})).toBeNull();
    expect(() => forcedWay({ ITERABLE_SYNC_SERVICES: 'podman' })).toThrow(UsageError);
  });

  test("a version of a server is chosen by its image's name", () => {
    const env = { TEST_MYSQL_IMAGE: 'mysql:8.4', TEST_MARIADB11_IMAGE: '' };
    expect(namedImage('mysql', env)).toBe('mysql:8.4');
    expect(namedImage('mariadb', env)).toBeNull();
    expect(namedImage('mariadb11', env)).toBeNull();
  });
});

describe('servers given by the environment', () => {
  test('any user and password can be written in a URL', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1 }),
        fc.string(),
        fc.integer({ min: 1, max: 65_535 }),
        (user, password, port) => {
          const text = `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@db:${port}`;
          expect(databaseByUrl({ TEST_MYSQL_URL: text }, 'TEST_MYSQL_URL')).toEqual({
            host: 'db',
            port,
            user,
            password,
          });
        },
      ),
    );
  });

  test('a URL that is none is refused without showing what it holds', () => {
    const env = { TEST_MYSQL_URL: 'root:secret@db' };
    expect(() => databaseByUrl(env, 'TEST_MYSQL_URL')).toThrow(UsageError);
    expect(() => databaseByUrl(env, 'TEST_MYSQL_URL')).not.toThrow(/secret/);
  });

  test('what is not set, or empty, is not given', () => {
    expect(databaseByUrl({ TEST_MYSQL_URL: '' }, 'TEST_MYSQL_URL')).toBeNull();
    expect(databaseByVariables({ DB_USER: 'someone' })).toBeNull();
    expect(brokersByVariable({ KAFKA_BROKERS: ' , ' })).toBeNull();
  });

  test('the settings of the program name the database and the brokers', () => {
    const env = { DB_HOST: 'db', DB_PORT: '3307', DB_USER: 'u', DB_PASSWORD: '' };
    expect(databaseByVariables(env)).toEqual({ host: 'db', port: 3307, user: 'u', password: '' });
    expect(brokersByVariable({ KAFKA_BROKERS: 'a:1, b:2' })).toEqual(['a:1', 'b:2']);
  });
});

describe('server programs', () => {
  test("Debian's mysqld is recognised as the MariaDB that it is", () => {
    const mariadb =
      '/usr/sbin/mysqld  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)';
    expect(readVersionLine(mariadb)?.flavour).toBe('mariadb');
    const mysql = '/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))';
    expect(readVersionLine(mysql)).toEqual({ flavour: 'mysql', version: '9.7.4-2' });
    expect(readVersionLine('sh: not found')).toBeNull();
  });

  test('versions compare by number, whatever follows', () => {
    expect(isAtLeast('10.11.19-MariaDB', '10.11')).toBe(true);
    expect(isAtLeast('10.6.4', '10.11')).toBe(false);
    expect(isAtLeast('9.7.4-2', '8.4')).toBe(true);
    expect(isAtLeast('8.0.36', '8.4')).toBe(false);
    expect(isAtLeast('11', '10.11')).toBe(true);
  });

  test('MariaDB is given no flag that it does not know', () => {
    expect(binlogFlags('mariadb', true).join(' ')).not.toMatch(/gtid/);
    expect(binlogFlags('mysql', true)).toContain('--gtid-mode=ON');
    expect(binlogFlags('mysql', false)).toContain('--gtid-mode=OFF');
  });

  test('properties given last win, and none is there twice', () => {
    const text = kafkaProperties(
      { port: 1, controllerPort: 2, dataDir: '/data' },
      { 'auto.create.topics.enable': 'true' },
    );
    const names = text
      .trimEnd()
      .split('\n')
      .map((line) => line.split('=')[0]);
    expect(new Set(names).size).toBe(names.length);
    expect(text).toContain('auto.create.topics.enable=true\n');
    expect(text).toContain('listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\n');
  });

  test('a property has the name in the environment that the image reads', () => {
    expect(environmentName('log.dirs')).toBe('KAFKA_LOG_DIRS');
    expect(environmentName('a-b_c.d')).toBe('KAFKA_A___B__C_D');
  });

  test("the archive is the whole suite's, not that of its updates", () => {
    const lines = 'bookworm-security http://a/security/\nbookworm http://b/debian/\n';
    expect(readArchive(lines)).toBe('http://b/debian/');
    expect(readArchive('')).toBeNull();
  });
});

describe('the machine', () => {
  test('only temporary folders of ours have an owner', () => {
    expect(ownerOfFolder('iterable-sync-server-42-AbCdEf')).toBe(42);
    expect(ownerOfFolder('iterable-sync-server-notes')).toBeNull();
    expect(ownerOfFolder('other-42-AbCdEf')).toBeNull();
  });

  test('free ports are all different', async () => {
    expect(new Set(await freePorts(10)).size).toBe(10);
  });

  test('a command that fails is named with the last lines it wrote', async () => {
    const failing = run('sh', ['-c', 'echo before; echo broken >&2; exit 3']);
    await expect(failing).rejects.toThrow(/ended with 3:[\s\S]*broken/);
    await expect(run('no-such-program', [])).rejects.toThrow(/ENOENT/);
  });
});
