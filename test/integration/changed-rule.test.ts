import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { isCaughtUp } from '../support/pipeline.ts';
import { Program, until } from '../support/program.ts';
import { freshTopicPrefix, injectServices } from '../support/services.ts';
import { type Stage, addPros, stage } from '../support/stage.ts';

const SARAH = 'sarah.johnson@email.com';
const ANNA = 'anna.martinez@email.com';
const JOHN = 'john.smith@email.com';
const TOM = 'tom.anderson@email.com';

function environmentOf(on: Stage, topics: 'embedded' | 'Kafka'): Record<string, string> {
  return {
    ...on.env,
    KAFKA_BROKERS: topics === 'Kafka' ? injectServices().kafkaBrokers.join(',') : '',
    KAFKA_TOPIC: freshTopicPrefix(),
    KAFKA_GROUP_ID: freshTopicPrefix(),
  };
}

/** Starts the stream, waits until `isSo` and until it has nothing left to do, and stops it. */
async function streamUntil(
  env: Readonly<Record<string, string>>,
  what: string,
  isSo: () => boolean,
): Promise<string> {
  await using program = new Program(['run'], env);
  const url = await program.ready();
  await until(what, () => Promise.resolve(isSo())).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${program.stderr}`);
  });
  await until('it is caught up', () => isCaughtUp(url));
  program.kill('SIGTERM');
  await program.ended;
  return program.stderr;
}

describe.each(['embedded', 'Kafka'] as const)('a stream through %s topics', (topics) => {
  it('sends whom another rule, time zone or project finds, without anything new happening', async () => {
    await using on = await stage();
    await using other = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    let env = environmentOf(on, topics);
    const { users } = on.simulator;
    const events = (): string => JSON.stringify([...(users.get(SARAH)?.events.values() ?? [])]);
    const first = await streamUntil(env, 'all three are there', () => users.size === 3);
    expect(first).not.toContain('the rule, its time zone or the Iterable project');
    const change = async (
      settings: Readonly<Record<string, string>>,
      isSo: () => boolean,
    ): Promise<void> => {
      env = { ...env, ...settings };
      const said = await streamUntil(env, `${JSON.stringify(settings)} is delivered`, isSo);
      expect(said).toContain('the rule, its time zone or the Iterable project is not the one');
    };
    await change({ RULE_PAGES: 'home,pricing' }, () => users.has(ANNA));
    await change({ RULE_PLAN_TYPE: 'free' }, () => users.has(JOHN));
    await change({ RULE_PLAN_TYPE: 'pro', RULE_LOOKBACK_DAYS: '20' }, () => users.has(TOM));
    const before = events();
    await change({ DB_TIME_ZONE: '+09:00' }, () => events() !== before);
    const profile = () => users.get(SARAH)?.dataFields;
    await change({ PROFILE_FIELDS: 'id:number' }, () => profile()?.['number'] === 1);
    await change({ EVENT_FIELDS: 'browser' }, () => events().includes('Safari'));
    await on.database.connection.query(
      'CREATE TABLE clients LIKE customers; INSERT INTO clients SELECT id + 0, email, first_name, last_name, plan_type, candidate FROM customers; ' +
        "UPDATE clients SET candidate = 'of clients'",
    );
    const fields = 'first_name,candidate';
    await change(
      { CUSTOMERS_TABLE: 'clients', PROFILE_FIELDS: fields },
      () => profile()?.['candidate'] === 'of clients',
    );
    await change(
      { COLUMN_NAMES: 'first_name=last_name,last_name=first_name' },
      () => profile()?.['first_name'] === 'Johnson',
    );
    await change({ ITERABLE_API_BASE_URL: other.url }, () => other.users.size === 4);
    const calls = other.stats().endpoints['users/update'].requests;
    const last = await streamUntil(env, 'it is there', () => true);
    expect(last).not.toContain('looked at again');
    expect(other.stats().endpoints['users/update'].requests).toBe(calls);
  }, 120_000);

  it('looks at everyone also when it was killed before it had asked for all of them', async () => {
    await using on = await stage();
    await addPros(on, 1_500);
    const env = environmentOf(on, topics);
    await on.database.connection.query("UPDATE page_views SET page = 'blog' WHERE user_id > 10");
    await streamUntil(env, 'all three are there', () => on.simulator.users.size === 3);
    const changed: Record<string, string> = { ...env, RULE_PAGES: 'blog' };
    {
      await using program = new Program(['run'], changed);
      await until('it has begun', () => Promise.resolve(on.simulator.users.size > 3));
      program.kill('SIGKILL');
      await program.ended;
    }
    await streamUntil(changed, 'all are there', () => on.simulator.users.size === 1_504);
  }, 120_000);
});
