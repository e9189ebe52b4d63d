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
import { REQUIRED } from '../support/required-settings.ts';

function options(
  env: Record<string, string>,
  more: Partial<LoadOptions & { directory: string }> = {},
): LoadOptions & { directory: string } {
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
      expect(problems.filter((problem) => problem.name === name)).toHaveLength(1);
    }
    expect(JSON.stringify(problems)).not.toContain('hunter2');
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

  it('that are nearly ours are said where they stand in our own .env', () => {
    const directory = mkdtempSync(join(tmpdir(), 'settings-'));
    writeFileSync(join(directory, '.env'), 'DB_PROT=1\nLOG_LEVLE=debug\nPORT=80\nEDITOR=vi\n');
    const env = { DB_HOTS: 'x' };
    const { strangers } = readSettings({ env, directory, configFile: null, need: 'none' });
    expect(strangers).toEqual([
      'there is no setting DB_PROT; did you mean DB_PORT?',
      'there is no setting LOG_LEVLE; did you mean LOG_LEVEL?',
    ]);
  });

  it('that begin as ours do and are none of them are said once, with the nearest one', () => {
    const directory = mkdtempSync(join(tmpdir(), 'settings-'));
    const configFile = join(directory, 'profile.json');
    writeFileSync(configFile, '{"RULE_DAYS":3,"DB_HOST":"x"}');
    writeFileSync(join(directory, '.env'), 'KAFKA_TOPPIC=a\nITERABLE_USER_UPDATE_PER_SECOND=7\n');
    const env = {
      ITERABLE_USER_UPDATE_PER_SECOND: '5',
      ITERABLE_API_URL: 'x',
      KAFKA_USERNAME: 'x',
      kafka_brokers: 'x',
      KAFKA_HOME: '/opt/kafka',
      KAFKA_HEAP_OPTS: '-Xmx1g',
      KAFKA_TOPIC: 'known',
      MY_RULE_X: 'x',
      RULE_: 'x',
    };
    const { strangers } = readSettings({ env, directory, configFile, need: 'none' });
    expect(strangers).toEqual([
      'there is no setting ITERABLE_API_URL; did you mean ITERABLE_API_BASE_URL?',
      'there is no setting ITERABLE_USER_UPDATE_PER_SECOND; did you mean ITERABLE_USERS_UPDATE_PER_SECOND?',
      'there is no setting KAFKA_HEAP_OPTS (the nearest one is KAFKA_TOPIC)',
      'there is no setting KAFKA_HOME (the nearest one is KAFKA_TOPIC)',
      'there is no setting KAFKA_TOPPIC; did you mean KAFKA_TOPIC?',
      'there is no setting KAFKA_USERNAME; did you mean KAFKA_SASL_USERNAME?',
      'there is no setting RULE_DAYS; did you mean RULE_LOOKBACK_DAYS?',
      'there is no setting kafka_brokers; did you mean KAFKA_BROKERS?',
    ]);
    const { DB_HOST: _, ...rest } = REQUIRED;
    expect(() =>
      loadSettings({ env: { ...rest, ...env }, directory, configFile: null, need: 'all' }),
    ).toThrow(/DB_HOST: is not set[^]*did you mean KAFKA_TOPIC\?/);
  });

  it('that are secrets may be in files, without the line break at the end', () => {
    const directory = mkdtempSync(join(tmpdir(), 'settings-'));
    const file = (name: string, content: string): string => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    const { ITERABLE_API_KEY: _, ...rest } = REQUIRED;
    const settings = loadSettings({
      env: {
        // `DB_PASSWORD=` of the example file is left as it is.
        ...rest,
        DB_PASSWORD_FILE: file('db', ' with blanks \r\n\n'),
        ITERABLE_API_KEY_FILE: file('key', 'key\n'),
        KAFKA_BROKERS: 'k:1',
        KAFKA_SASL_MECHANISM: 'plain',
        KAFKA_SASL_USERNAME: 'me',
      },
      directory,
      configFile: file('c.json', `{"KAFKA_SASL_PASSWORD_FILE":"${file('sasl', 'word')}"}`),
      need: 'all',
    });
    expect(settings.db.password).toBe(' with blanks \r\n');
    expect(settings.iterable.apiKey).toBe('key');
    expect(settings.topics.kafka?.sasl?.password).toBe('word');
  });

  it('name the file of a secret that is of no use and never what is in it, in one problem each', () => {
    const directory = mkdtempSync(join(tmpdir(), 'settings-'));
    writeFileSync(join(directory, 'db'), 'hunter2');
    writeFileSync(join(directory, 'empty'), '\n');
    const { problems } = readSettings({
      env: {
        DB_HOST: 'h',
        DB_USER: 'u',
        DB_NAME: 'n',
        DB_PASSWORD: 'hunter3',
        DB_PASSWORD_FILE: 'db',
        ITERABLE_API_KEY_FILE: 'empty',
        KAFKA_SASL_MECHANISM: 'plain',
        KAFKA_SASL_USERNAME: 'me',
        KAFKA_SASL_PASSWORD_FILE: '/no/such/file',
      },
      directory,
      configFile: null,
      need: 'all',
    });
    expect(problems).toEqual([
      {
        name: 'DB_PASSWORD_FILE',
        sentence: 'is set, and so is DB_PASSWORD: leave one of them out',
      },
      {
        name: 'KAFKA_SASL_PASSWORD_FILE',
        sentence:
          'the file /no/such/file cannot be read (ENOENT); check the path, and that this user may read it',
      },
      { name: 'ITERABLE_API_KEY_FILE', sentence: 'the file empty is empty' },
    ]);
  });

  it('that are missing where no .env is say so, with how to make one', () => {
    const bare = options({});
    const message = `there is no .env in ${bare.directory}: "iterable-sync init" makes one, or copy .env.example`;
    expect(() => loadSettings(bare)).toThrow(message);
    expect(readSettings(options(REQUIRED)).advice).toBeNull();
    expect(readSettings(options({ ...REQUIRED, DB_PORT: 'x' })).advice).toBeNull();
    writeFileSync(join(bare.directory, '.env'), 'DB_HOST=x');
    expect(readSettings(bare).advice).toBeNull();
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
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });

  it('are all in .env.example and in the table of the README', () => {
    for (const { name } of SETTINGS_TABLE) {
      expect(envExample()).toMatch(new RegExp(`^(# )?${name}=`, 'm'));
      expect(settingsMarkdown()).toContain(`| \`${name}\` |`);
    }
  });
});
