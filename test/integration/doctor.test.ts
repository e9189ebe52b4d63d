import { describe, expect, it } from 'vitest';
import { runToEnd } from '../support/program.ts';
import { freshTopicPrefix, injectServices } from '../support/services.ts';
import { type Stage, stage } from '../support/stage.ts';

interface Line {
  name: string;
  mark: string;
  ok: boolean;
  required: boolean;
  detail: string;
  fix: string | null;
}

async function report(on: Stage, more: Readonly<Record<string, string>>) {
  const env = { ...on.env, ...more };
  const { code, stdout } = await runToEnd(['doctor', '--json'], env);
  const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: Line[] };
  const named = (name: string): Line[] => checks.filter((check) => check.name.startsWith(name));
  // What must be done is a failing line, and a failing line says what must be done.
  for (const { mark, ok: holds, required, detail, fix } of checks) {
    expect({ ok: holds, required }).toEqual(
      { ok: { ok: true, required }, FAIL: { ok: false, required: true } }[mark] ?? {
        ok: false,
        required: false,
      },
    );
    expect(fix !== null).toBe(mark === 'FAIL' || mark === 'note');
    expect(detail.startsWith('not checked: ')).toBe(mark === 'skip');
  }
  return { code, ok, named };
}

describe('doctor', () => {
  it('checks no default in the place of a bad value, and everything else', async () => {
    await using on = await stage();
    const port = await report(on, { DB_PORT: 'abc' });
    expect(port).toMatchObject({ code: 2, ok: false });
    expect(port.named('settings').map(({ mark }) => mark)).toEqual(['FAIL']);
    expect(port.named('database').map(({ detail }) => detail)).toEqual([
      'not checked: DB_PORT is wrong',
    ]);
    expect(port.named('Iterable').map(({ mark }) => mark)).toEqual(['ok', 'ok']);
    expect(port.named('topics').map(({ mark }) => mark)).toEqual(['ok']);

    const names = await report(on, { COLUMN_NAMES: 'plan=tier' });
    expect(names.code).toBe(2);
    expect(names.named('settings').at(0)?.detail).toContain(
      'COLUMN_NAMES: must be role=name, comma separated: in "plan=tier", there is no role "plan"; the roles are customers.id, email,',
    );
    expect(names.named('database').map(({ detail }) => detail)).toEqual([
      'not checked: COLUMN_NAMES is wrong',
    ]);

    const url = await report(on, { ITERABLE_API_BASE_URL: 'api.iterable.com' });
    expect(url.named('Iterable').map(({ detail }) => detail)).toEqual([
      'not checked: ITERABLE_API_BASE_URL is wrong',
    ]);
    expect(url.named('database: columns').map(({ mark }) => mark)).toEqual(['ok']);

    const key = await report(on, { ITERABLE_API_KEY: '', KAFKA_BROKERS: 'nowhere' });
    expect(key.code).toBe(2);
    expect(key.named('Iterable').map(({ mark, detail }) => [mark, detail])).toEqual([
      ['ok', on.simulator.url],
      ['skip', 'not checked: ITERABLE_API_KEY is not set'],
    ]);
    expect(key.named('topics').map(({ detail }) => detail)).toEqual([
      'not checked: KAFKA_BROKERS is wrong',
    ]);
  });

  it('says nothing good of the columns of a table that is missing', async () => {
    await using on = await stage();
    await on.database.connection.query('DROP TABLE page_views');
    const { code, named } = await report(on, {});
    expect(code).toBe(3);
    expect(named('database: tables')).toMatchObject([{ mark: 'FAIL' }]);
    for (const name of ['columns', 'column types', 'table kinds', 'index']) {
      expect(named(`database: ${name}`).at(0)).toMatchObject({
        mark: 'skip',
        detail: 'not checked: page_views is missing',
      });
    }
  });

  it('names what is not there with its role and its setting, as the start does', async () => {
    await using on = await stage();
    const env = {
      CUSTOMERS_TABLE: 'clients',
      COLUMN_NAMES: 'plan_type=tier,page_views.device=gadget',
      PROFILE_FIELDS: 'first_name,nick:name',
      EVENT_FIELDS: 'page,referrer',
    };
    const tables = await report(on, env);
    expect(tables.code).toBe(3);
    expect(tables.named('database: tables').at(0)).toMatchObject({
      mark: 'FAIL',
      detail: `no clients (for customers) in ${on.database.settings.name}, or not readable`,
      fix: expect.stringContaining('check DB_NAME and CUSTOMERS_TABLE') as string,
    });
    await on.database.connection.query('RENAME TABLE customers TO clients');
    const { code, named } = await report(on, env);
    expect(code).toBe(3);
    const [columns] = named('database: columns');
    expect(columns).toMatchObject({
      mark: 'FAIL',
      detail:
        'missing: clients.tier (role plan_type), page_views.gadget (role device), clients.nick (PROFILE_FIELDS), referrer of page_views or clients (EVENT_FIELDS)',
    });
    expect(columns?.fix).toContain('COLUMN_NAMES=plan_type=<name>,device=<name>');
    expect(columns?.fix).toContain('correct PROFILE_FIELDS and EVENT_FIELDS');
    for (const command of ['run', 'deliver', 'backfill', 'backfill --dry-run']) {
      const kafka = command === 'deliver' ? injectServices().kafkaBrokers.join(',') : '';
      const more = { ...env, KAFKA_BROKERS: kafka, KAFKA_TOPIC: freshTopicPrefix() };
      const ended = await runToEnd(command.split(' '), { ...on.env, ...more });
      expect([ended.code, ended.stderr]).toEqual([
        3,
        expect.stringContaining(columns?.detail ?? '') as string,
      ]);
      expect(ended.stderr).toContain(columns?.fix ?? '');
    }
  });

  it('says what to do about servers that are away, and about names nearly ours', async () => {
    await using on = await stage();
    const away = await report(on, {
      DB_PORT: '1',
      KAFKA_BROKERS: '127.0.0.1:1',
      ITERABLE_API_BASE_URL: 'http://127.0.0.1:1',
      KAFKA_TOPPIC: 'x',
    });
    expect(away.code).toBe(3);
    expect(away.named('database').at(0)).toMatchObject({
      detail: 'the database at 127.0.0.1:1 cannot be reached (nothing listens there, ECONNREFUSED)',
      fix: 'check DB_HOST and DB_PORT, and that it runs',
    });
    expect(away.named('topics: Kafka').at(0)).toMatchObject({
      detail: 'Kafka at 127.0.0.1:1 cannot be reached (nothing listens there, ECONNREFUSED)',
      fix: expect.stringMatching(/^check KAFKA_BROKERS, and that it runs/) as string,
    });
    expect(away.named('Iterable: reachable').at(0)).toMatchObject({
      detail: '127.0.0.1:1 of ITERABLE_API_BASE_URL: nothing listens there, ECONNREFUSED',
      fix: expect.stringMatching(/^check ITERABLE_API_BASE_URL/) as string,
    });
    expect(away.named('settings').at(1)).toMatchObject({
      mark: 'note',
      detail: 'there is no setting KAFKA_TOPPIC; did you mean KAFKA_TOPIC?',
    });
  });
});
