import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { envExample, settingsMarkdown } from '../../src/settings/help.ts';
import { parseDotEnv } from '../../src/settings/dot-env.ts';
import { type LoadOptions, loadSettings, readSettings } from '../../src/settings/load.ts';
import { SETTINGS_TABLE } from '../../src/settings/table.ts';

const REQUIRED = {
  DB_HOST: 'db',
  DB_USER: 'me',
  DB_PASSWORD: '',
  DB_NAME: 'shop',
  ITERABLE_API_KEY: 'key',
};

function options(env: Record<string, string>, more: Partial<LoadOptions> = {}): LoadOptions {
  const directory = mkdtempSync(join(tmpdir(), 'settings-'));
  return { env, directory, configFile: null, need: 'all', ...more };
}

describe('settings', () => {
  it('have the defaults of the contract', () => {
    const settings = loadSettings(options(REQUIRED));
    expect(settings.db).toMatchObject({ port: 3306, password: '', timeZone: '+00:00', ssl: false });
    expect(settings.topics).toEqual({
      kafka: null,
      topic: 'page_views',
      partitions: 6,
      stateDir: './state',
    });
    expect(settings).toMatchObject({
      topicFormat: 'page_view',
      groupId: 'iterable-sync',
      startFrom: 'backfill',
      http: { host: '127.0.0.1', port: 9464 },
      rule: { planType: 'pro', pages: ['pricing', 'settings'], lookbackDays: 7 },
      resultsDir: '.',
    });
    expect(settings.iterable).toMatchObject({
      timeoutMs: 10_000,
      usersUpdatePerSecond: 500,
      eventsTrackPerSecond: 2000,
    });
  });

  it('come from the environment first, then .env, then the JSON file', () => {
    const directory = mkdtempSync(join(tmpdir(), 'settings-'));
    const configFile = join(directory, 'profile.json');
    writeFileSync(
      configFile,
      JSON.stringify({ DB_PORT: 1, DB_HOST: 'json', DB_NAME: 'json', RULE_PAGES: ['a', 'b'] }),
    );
    writeFileSync(join(directory, '.env'), 'DB_HOST=dotenv\nDB_NAME=dotenv\n');
    const { DB_HOST: _host, DB_NAME: _name, ...rest } = REQUIRED;
    const settings = loadSettings({
      env: { ...rest, DB_NAME: 'env' },
      directory,
      configFile,
      need: 'all',
    });
    expect(settings.db).toMatchObject({ name: 'env', host: 'dotenv', port: 1 });
    expect(settings.rule.pages).toEqual(['a', 'b']);
  });

  it('are all checked, and every problem is named in one message without a secret', () => {
    const env = {
      DB_PORT: 'x',
      HTTP_PORT: '70000',
      DB_PASSWORD: 'hunter2',
      KAFKA_SASL_MECHANISM: 'plain',
      KAFKA_BROKERS: 'b',
    };
    const { problems } = readSettings(options(env));
    for (const name of [
      'DB_HOST',
      'DB_PORT',
      'DB_USER',
      'DB_NAME',
      'ITERABLE_API_KEY',
      'HTTP_PORT',
      'KAFKA_BROKERS',
      'KAFKA_SASL_USERNAME',
      'KAFKA_SASL_PASSWORD',
    ]) {
      expect(problems.filter((problem) => problem.startsWith(`${name}:`))).toHaveLength(1);
    }
    expect(problems.join()).not.toContain('hunter2');
    expect(() => loadSettings(options(env))).toThrow(UsageError);
  });

  it('need only the database for setup-db, and nothing for the simulator', () => {
    const { ITERABLE_API_KEY: _, ...database } = REQUIRED;
    expect(readSettings(options(database, { need: 'database' })).problems).toEqual([]);
    expect(readSettings(options({}, { need: 'none' })).problems).toEqual([]);
    const { DB_PASSWORD: __, ...withoutPassword } = database;
    expect(readSettings(options(withoutPassword, { need: 'database' })).problems).toHaveLength(1);
  });

  it('name the nearest setting for one that does not exist', () => {
    const directory = mkdtempSync(join(tmpdir(), 'settings-'));
    const configFile = join(directory, 'profile.json');
    writeFileSync(configFile, '{"DB_HOTS":"x"}');
    expect(() => readSettings({ env: {}, directory, configFile, need: 'none' })).toThrow(
      /did you mean DB_HOST/,
    );
  });

  it('read the levels of the first version, and UTC in any spelling', () => {
    const settings = loadSettings(
      options({
        ...REQUIRED,
        LOG_LEVEL: 'WARNING',
        DB_TIME_ZONE: 'utc',
        HTTP_PORT: 'off',
        LOG_FILE: 'off',
      }),
    );
    expect(settings.log).toEqual({ level: 'warn', format: 'auto', file: null });
    expect(settings.db.timeZone).toBe('+00:00');
    expect(settings.http.port).toBeNull();
  });

  it('in .env may hold a #, which begins a comment only after a blank or at the start of a line', () => {
    const directory = mkdtempSync(join(tmpdir(), 'settings-'));
    const lines = [
      '\uFEFFDB_HOST=db.internal # the replica',
      '# DB_HOST=commented',
      'export DB_USER = me\t#comment',
      'DB_PASSWORD=a#b##c',
      "ITERABLE_API_KEY='quoted # key' # comment",
      'DB_NAME="shop',
      'STATE_DIR=within the quotes" # comment',
      'STATE_DIR=#state',
      'RULE_PAGES= # nothing',
      'KAFKA_TOPIC=a=b',
    ];
    writeFileSync(join(directory, '.env'), lines.join('\r\n'));
    const { settings } = readSettings({ env: {}, directory, configFile: null, need: 'none' });
    expect(settings.db).toMatchObject({ host: 'db.internal', user: 'me', password: 'a#b##c' });
    expect(settings.iterable.apiKey).toBe('quoted # key');
    expect(settings.topics.stateDir).toBe('#state');
    expect(settings.rule.pages).toEqual(['pricing', 'settings']);
  });

  it('in .env are read in quotes as Node reads them, over several lines too', () => {
    for (const text of [
      'A="x\\ny"',
      "A='a\nb' # c",
      'A=`q"w`',
      'A="a # b" trailing\nB=1',
      'A="\nB=2\n"\nB=3',
    ]) {
      expect(Object.fromEntries(parseDotEnv(text))).toEqual({ ...parseEnv(text) });
    }
  });

  it('of a proxy are that of the scheme of ITERABLE_API_BASE_URL, under either name', () => {
    const proxies = { https_proxy: 'proxy:3128', HTTP_PROXY: 'http://me:secret@plain:8080' };
    const of = (env: Record<string, string>) =>
      loadSettings(options({ ...REQUIRED, ...proxies, ...env })).iterable.proxy;
    expect(of({ NO_PROXY: '.internal' })).toEqual({
      url: 'http://proxy:3128/',
      except: '.internal',
    });
    expect(of({ ITERABLE_API_BASE_URL: 'http://plain' })?.url).toBe('http://me:secret@plain:8080/');
    const { problems } = readSettings(options({ ...REQUIRED, HTTPS_PROXY: 'socks5://hunter2' }));
    expect(problems).toHaveLength(1);
    expect(problems.join()).not.toContain('hunter2');
  });

  it('are all in .env.example and in the table of the README', () => {
    for (const { name } of SETTINGS_TABLE) {
      expect(envExample()).toMatch(new RegExp(`^(# )?${name}=`, 'm'));
      expect(settingsMarkdown()).toContain(`| \`${name}\` |`);
    }
  });
});
