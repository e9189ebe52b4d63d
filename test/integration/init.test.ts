import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseDotEnv } from '../../src/settings/dot-env.ts';
import { runToEnd } from '../support/program.ts';
import { freshDatabase, injectServices } from '../support/services.ts';
import { stage } from '../support/stage.ts';
import { Terminal } from '../support/terminal.ts';

const NAMES = [
  'DB_HOST',
  'DB_PORT',
  'DB_USER',
  'DB_PASSWORD',
  'DB_NAME',
  'ITERABLE_API_KEY',
  'ITERABLE_API_BASE_URL',
];

const sets = (values: Readonly<Record<string, string>>, names = NAMES): string[] =>
  names.flatMap((name) => ['--set', `${name}=${values[name]}`]);

test('init --set writes a .env that the program starts with, for its owner alone, and never over another', async () => {
  await using on = await stage();
  const cwd = mkdtempSync(join(tmpdir(), 'init-'));
  const path = join(cwd, '.env');
  const written = await runToEnd(['init', ...sets(on.env)], {}, cwd);
  expect(written).toMatchObject({ code: 0, stderr: '' });
  expect(written.stdout).toContain('Wrote .env');
  expect(written.stdout).not.toContain('statement');
  const wanted = Object.fromEntries(NAMES.map((name) => [name, on.env[name]]));
  expect(Object.fromEntries(parseDotEnv(readFileSync(path, 'utf8')))).toEqual(wanted);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await runToEnd(['doctor'], {}, cwd)).toMatchObject({ code: 0 });

  writeFileSync(path, 'MINE=1\n');
  const refused = await runToEnd(['init', ...sets(on.env)], {}, cwd);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--force')]);
  expect(readFileSync(path, 'utf8')).toBe('MINE=1\n');
  // The secrets may come by the environment: a command line is seen by every user of the machine.
  const { DB_PASSWORD = '', ITERABLE_API_KEY = '' } = on.env;
  const rest = NAMES.filter((name) => !['DB_PASSWORD', 'ITERABLE_API_KEY'].includes(name));
  const args = ['init', '--force', ...sets(on.env, rest)];
  expect(await runToEnd(args, { DB_PASSWORD, ITERABLE_API_KEY }, cwd)).toMatchObject({ code: 0 });
  expect(Object.fromEntries(parseDotEnv(readFileSync(path, 'utf8')))).toEqual(wanted);
});

test('init writes nothing where something is missing (2) or refused (3), and repeats no secret', async () => {
  await using on = await stage();
  const secret = 'planted-secret-1';
  const wrong = (values: Record<string, string>): string[] => sets({ ...on.env, ...values });
  const cases: [number, string[], string][] = [
    [2, [], 'DB_HOST: is not set'],
    [2, ['--set', secret], '--set takes NAME=VALUE'],
    [2, [...sets(on.env), '--set', `DB_HOTS=${secret}`], 'did you mean DB_HOST?'],
    [2, wrong({ DB_PORT: 'x', DB_PASSWORD: secret }), 'DB_PORT: must be a whole number'],
    [3, wrong({ DB_PORT: '1', DB_PASSWORD: secret }), 'cannot be reached'],
    [3, wrong({ DB_PASSWORD: secret }), 'refuses the user'],
    [3, wrong({ ITERABLE_API_KEY: secret }), 'refused with HTTP 401'],
  ];
  await Promise.all(
    cases.map(async ([code, args, said]) => {
      const cwd = mkdtempSync(join(tmpdir(), 'init-'));
      const ended = await runToEnd(['init', ...args], {}, cwd);
      expect(ended).toMatchObject({ code, stderr: expect.stringContaining(said) as string });
      expect(ended.stdout + ended.stderr).not.toContain(secret);
      expect(() => statSync(join(cwd, '.env'))).toThrow('ENOENT');
    }),
  );
});

test('init asks on a terminal, tries each answer, lets a wrong one be given anew, and shows no secret', async () => {
  await using on = await stage();
  const { env } = on;
  const cwd = mkdtempSync(join(tmpdir(), 'init-'));
  await using terminal = new Terminal(['init'], cwd);
  const clear = '\u0015';
  const up = '\u001B[A';
  await terminal.answer('host of MySQL', `${env['DB_HOST']}\r`);
  await terminal.answer('its port', `${clear}${env['DB_PORT']}\r`);
  await terminal.answer('user of iterable-sync', `${env['DB_USER']}\r`);
  await terminal.answer('password of that user', 'not-this-one\r');
  await terminal.answer('What now?', '\r');
  await terminal.answer('user of iterable-sync', '\r');
  await terminal.answer('password of that user', `${env['DB_PASSWORD']}\r`);
  await terminal.answer('database with', `${env['DB_NAME']}\r`);
  await terminal.answer('without Kafka', '\r');
  await terminal.answer('where it sends to', `${up}\r`);
  await terminal.answer('https://api.eu.iterable.com', `${clear}${env['ITERABLE_API_BASE_URL']}\r`);
  await terminal.answer('a server-side key', 'test-key\r');
  expect(await terminal.end()).toBe(0);
  expect(terminal.shown).toContain('refuses the user');
  expect(terminal.shown).toContain('Wrote .env');
  for (const secret of ['not-this-one', 'test-key']) expect(terminal.shown).not.toContain(secret);
  expect(Object.fromEntries(parseDotEnv(readFileSync(join(cwd, '.env'), 'utf8')))).toEqual(
    Object.fromEntries(NAMES.map((name) => [name, env[name]])),
  );
});

test('init that is stopped while it tries writes nothing, and says so by its exit code', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'init-'));
  await using silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  await using terminal = new Terminal(['init'], cwd);
  await terminal.answer('host of MySQL', '127.0.0.1\r');
  await terminal.answer('its port', `\u0015${(silent.address() as AddressInfo).port}\r`);
  await terminal.answer('the server answers', '\u0003');
  expect(await terminal.end()).toBe(130);
  expect(terminal.shown).toContain('Nothing was written.');
  expect(() => statSync(join(cwd, '.env'))).toThrow('ENOENT');
});

/** The statements that init printed. */
const printedSql = (stdout: string): string[] =>
  stdout.split('\n').flatMap((line) => (/^(GRANT|USE|CREATE INDEX) /.test(line) ? [line] : []));

test.each(['mysql', 'mariadb'] as const)(
  'what init prints is all that a new user of %s needs, and setup-db names its own grants',
  async (flavour) => {
    await using on = await stage();
    await using database = await freshDatabase(injectServices()[flavour]);
    const { connection, settings } = database;
    const user = `new_${randomBytes(4).toString('hex')}`;
    const account = `'${user}'@'%'`;
    const env = {
      ...on.env,
      DB_HOST: settings.host,
      DB_PORT: String(settings.port),
      DB_USER: user,
      DB_PASSWORD: 'new-secret',
      DB_NAME: settings.name,
    };
    await connection.query(`CREATE USER ${account} IDENTIFIED BY 'new-secret'`);
    try {
      const circle = await runToEnd(['setup-db'], env);
      expect(circle.code).toBe(3);
      const grant = /run (GRANT [A-Z, ]+ ON \S+ TO \S+),/.exec(circle.stderr)?.[1] ?? '';
      expect(grant).toContain('CREATE, REFERENCES, INSERT ON');
      await connection.query(grant);
      expect(await runToEnd(['setup-db'], env)).toMatchObject({ code: 0 });
      const reset = await runToEnd(['setup-db', '--reset'], env);
      expect(reset.stderr).toContain('INSERT, DROP ON');
      await connection.query(`REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${account}`);
      await connection.query('ALTER TABLE page_views ADD KEY only_user (user_id)');
      await connection.query('ALTER TABLE page_views DROP KEY page_views_rule');

      const cwd = mkdtempSync(join(tmpdir(), 'init-'));
      const first = await runToEnd(['init', ...sets(env)], {}, cwd);
      expect(first.code).toBe(0);
      for (const sql of printedSql(first.stdout)) await connection.query(sql);
      const second = await runToEnd(['init', '--force', ...sets(env)], {}, cwd);
      for (const sql of printedSql(second.stdout)) await connection.query(sql);
      const last = await runToEnd(['doctor'], {}, cwd);
      expect(last.stdout).toContain('index: page_views_rule');
      expect(last.code).toBe(0);
    } finally {
      await connection.query(`DROP USER ${account}`);
    }
  },
);
