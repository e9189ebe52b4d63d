import { ConfigResourceTypes, Kafka, logLevel } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { Program, environment, until } from '../support/program.ts';
import {
  freshDatabase,
  freshTopicPrefix,
  injectServices,
  startOwnKafka,
  startOwnMysql,
} from '../support/services.ts';
import { type Stage, stage } from '../support/stage.ts';
import { setUpTables } from '../support/workload.ts';
import { withSlack } from '../support/slack.ts';

/** What hangs, hangs for longer; a machine that is busy answers sooner. */
const PAGE_MS_MAX = 1_000;

function onKafka(on: Stage, brokers = injectServices().kafkaBrokers): Record<string, string> {
  return {
    ...on.env,
    KAFKA_BROKERS: brokers.join(','),
    KAFKA_TOPIC: freshTopicPrefix(),
    KAFKA_GROUP_ID: freshTopicPrefix(),
  };
}

async function page(url: string, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${url}${path}`, {
    signal: AbortSignal.timeout(withSlack(PAGE_MS_MAX)),
  });
  return { status: response.status, text: await response.text() };
}

async function isNotReady(url: string, part: string): Promise<void> {
  await until(`${part} is named`, async () => {
    const { status, text } = await page(url, '/readyz');
    return status === 503 && new RegExp(`^${part}: .* \\(since 2`, 'm').test(text);
  });
}

async function isReady(url: string): Promise<void> {
  let said = '';
  await until('it is ready', async () => {
    const { status, text } = await page(url, '/readyz');
    said = text;
    return status === 200;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${said}`);
  });
}

/** Three times, since the first question may still be answered from before. */
async function pagesAnswer(url: string): Promise<string> {
  let metrics = '';
  for (let i = 0; i < 3; i++) {
    for (const path of ['/', '/status', '/readyz', '/healthz']) await page(url, path);
    metrics = (await page(url, '/metrics')).text;
  }
  return metrics;
}

const LAG = /^iterable_sync_topic_lag_messages\{/m;

describe('while it is frozen,', () => {
  it('Kafka is named by /readyz, the lag is absent, and every page answers', async () => {
    await using on = await stage();
    await using kafka = await startOwnKafka();
    await using program = new Program(['run'], onKafka(on, kafka.brokers));
    const url = await program.ready();
    expect((await page(url, '/metrics')).text).toMatch(LAG);
    process.kill(kafka.pid!, 'SIGSTOP');
    await isNotReady(url, 'group');
    expect(await pagesAnswer(url)).not.toMatch(LAG);
    process.kill(kafka.pid!, 'SIGCONT');
    await isReady(url);
    await until('the lag is known', async () => LAG.test((await page(url, '/metrics')).text));
  }, 120_000);

  it('MySQL is named by /readyz, also where nothing asks it, and every page answers', async () => {
    await using mysql = await startOwnMysql();
    await using database = await freshDatabase(mysql);
    await setUpTables(database.connection);
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    const env = environment(database.settings, simulator.url, {
      KAFKA_BROKERS: injectServices().kafkaBrokers.join(','),
      KAFKA_TOPIC: freshTopicPrefix(),
      KAFKA_GROUP_ID: freshTopicPrefix(),
    });
    await using capture = new Program(['capture'], env);
    await using deliver = new Program(['deliver'], env);
    const urls = [await capture.ready(), await deliver.ready()];
    process.kill(mysql.pid!, 'SIGSTOP');
    await isNotReady(urls[1]!, 'database');
    await isNotReady(urls[0]!, 'capture');
    for (const url of urls) expect(await pagesAnswer(url)).toMatch(/^iterable_sync_ready 0$/m);
    process.kill(mysql.pid!, 'SIGCONT');
    for (const url of urls) await isReady(url);
  }, 120_000);

  it('Iterable is named by /readyz, and every page answers', async () => {
    await using on = await stage();
    await using program = new Program(['run'], { ...on.env, ITERABLE_TIMEOUT_MS: '500' });
    const url = await program.ready();
    await until('the seeded users are there', () => Promise.resolve(on.simulator.users.size === 3));
    await on.simulator.setFaults({ latency: { '*': { ms: 60_000 } } });
    await on.database.connection.query(
      "UPDATE customers SET plan_type = 'pro'; INSERT INTO page_views (user_id, page) SELECT id, 'pricing' FROM customers",
    );
    await isNotReady(url, 'iterable');
    await pagesAnswer(url);
    await on.simulator.setFaults({});
    await isReady(url);
  }, 120_000);
});

describe('/readyz', () => {
  it('names the dead letters while their topic refuses them', async () => {
    await using on = await stage();
    const env = onKafka(on);
    await using program = new Program(['run'], env);
    const url = await program.ready();
    await until('the seeded users are there', () => Promise.resolve(on.simulator.users.size === 3));
    const brokers = [...injectServices().kafkaBrokers];
    const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const limit = (bytes: number) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: ConfigResourceTypes.TOPIC,
            name: `${env['KAFKA_TOPIC']}.dead_letters`,
            configEntries: [{ name: 'max.message.bytes', value: String(bytes) }],
          },
        ],
      });
    await limit(10);
    await on.simulator.setFaults({
      refuse: [{ email: 'mike.chen@email.com', status: 400, code: 'InvalidEmailAddressError' }],
    });
    await on.database.connection.query("UPDATE customers SET first_name = 'M' WHERE id = 2");
    await isNotReady(url, 'dead letters');
    await limit(1_000_000);
    await admin.disconnect();
    await isReady(url);
  }, 120_000);

  it('names a look at everyone that fails, and nothing once it has worked', async () => {
    await using on = await stage();
    const env = onKafka(on);
    const { connection } = on.database;
    {
      await using program = new Program(['run'], env);
      await program.ready();
      await until('they are there', () => Promise.resolve(on.simulator.users.size === 3));
      program.kill('SIGTERM');
      await program.ended;
    }
    // With all its columns, and an error for who asks for rows.
    await connection.query(
      "RENAME TABLE page_views TO hidden; CREATE DEFINER = 'gone'@'%' VIEW page_views AS SELECT * FROM hidden",
    );
    await using deliver = new Program(['deliver'], { ...env, RULE_PAGES: 'home' });
    const url = await deliver.url();
    await isNotReady(url, 'resync');
    await connection.query('DROP VIEW page_views; RENAME TABLE hidden TO page_views');
    await isReady(url);
    const anna = 'anna.martinez@email.com';
    await until('she is found', () => Promise.resolve(on.simulator.users.has(anna)));
  }, 120_000);

  it('is 200 for a capture that stands by, before it takes over and after', async () => {
    await using on = await stage();
    const env = onKafka(on);
    await using first = new Program(['capture'], env);
    await first.ready();
    await using second = new Program(['capture'], env);
    const url = await second.url();
    await until('it stands by', () => Promise.resolve(second.stderr.includes('standing by')));
    await isReady(url);
    first.kill('SIGKILL');
    await until('it streams', () => Promise.resolve(second.stderr.includes('capture: streaming')));
    await isReady(url);
  }, 120_000);
});
