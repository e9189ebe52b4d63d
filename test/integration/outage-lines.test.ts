import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { Program, environment, until } from '../support/program.ts';
import {
  freshDatabase,
  freshTopicPrefix,
  startOwnKafka,
  startOwnMysql,
} from '../support/services.ts';
import { type Stage, stage } from '../support/stage.ts';
import { setUpTables } from '../support/workload.ts';
import { withSlack } from '../support/slack.ts';

type Line = Record<string, unknown>;

const linesOf = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);

/** What is said of a part's outages at WARN and INFO. */
const saidOf = (program: Program, part: string): string[] =>
  linesOf(program.stderr).flatMap((line) => (line['part'] === part ? [String(line['msg'])] : []));

const fileOf = (on: Pick<Stage, 'env'>): string => readFileSync(on.env['LOG_FILE'] ?? '', 'utf8');

describe('the log of a running stream', () => {
  it('has one line when Kafka or the database is away, one when it is back, and no stack', async () => {
    await using kafka = await startOwnKafka();
    await using mysql = await startOwnMysql();
    await using database = await freshDatabase(mysql);
    await setUpTables(database.connection);
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    const env = environment(database.settings, simulator.url, {
      KAFKA_BROKERS: kafka.brokers.join(','),
      KAFKA_TOPIC: freshTopicPrefix(),
    });
    await using program = new Program(['run'], env);
    await program.ready();
    await until('they are there', () => Promise.resolve(simulator.users.size === 3));
    await kafka.kill();
    const awayMs = performance.now();
    await until('Kafka is missed', () => Promise.resolve(saidOf(program, 'Kafka').length > 0));
    expect(performance.now() - awayMs).toBeLessThan(withSlack(3_000));
    await mysql.kill();
    await until('the database is missed', () =>
      Promise.resolve(saidOf(program, 'database').length > 0),
    );
    await mysql.restart();
    await kafka.restart();
    const isBack = (part: string) => () => Promise.resolve(saidOf(program, part).length > 1);
    await until('Kafka is back', isBack('Kafka'), 40_000);
    await until('the database is back', isBack('database'));
    const said = (part: string): string => saidOf(program, part).join('\n');
    expect(said('Kafka')).toMatch(/^Kafka .*\nKafka answers again, after \d+ s$/);
    expect(said('database')).toMatch(/^the database .*\nthe database answers again, after \d+ s$/);
    expect(program.stderr).not.toContain('stack');
    expect(fileOf({ env })).not.toContain('"stack":"Unavail');
  }, 120_000);

  it('has one line when Iterable is away or refuses the key, and one when it is back', async () => {
    await using on = await stage();
    await using program = new Program(['run'], on.env);
    await program.ready();
    await until('they are there', () => Promise.resolve(on.simulator.users.size === 3));
    const view = 'INSERT INTO page_views (user_id, page) SELECT id, "pricing" FROM customers';
    await on.simulator.setFaults({ outage: 'unavailable' });
    await on.database.connection.query(`UPDATE customers SET plan_type = 'pro'; ${view}`);
    await until('it is missed', () => Promise.resolve(saidOf(program, 'iterable').length > 0));
    await on.simulator.setFaults({});
    await until('it is back', () => Promise.resolve(saidOf(program, 'iterable').length > 1));
    expect(saidOf(program, 'iterable').join('\n')).toMatch(
      /^Iterable does not answer as it should \(HTTP 503\); .*\nIterable accepts calls again, after \d+ s$/,
    );
    expect(program.stderr).not.toContain('stack');
  });

  it('tells in the file of each delivery who, what came of it, and which message caused it', async () => {
    await using on = await stage();
    await on.simulator.setFaults({
      refuse: [{ email: 'mike.chen@email.com', status: 400, code: 'InvalidEmailAddressError' }],
    });
    await using program = new Program(['run'], on.env);
    await program.ready();
    await on.database.connection.query(
      "INSERT INTO page_views (user_id, page) VALUES (9, 'pricing'), (9, 'settings'), (4, 'pricing')",
    );
    const deliveries = (userId: string): Line[] =>
      linesOf(fileOf(on)).filter((line) => line['user_id'] === userId && 'outcome' in line);
    const hasOutcomes = (userId: string, outcomes: string[]) => () =>
      Promise.resolve(
        outcomes.every((one) => deliveries(userId).some((line) => line['outcome'] === one)),
      );
    await until('9 was sent', hasOutcomes('9', ['sent']));
    await until('2 was refused', hasOutcomes('2', ['refused']));
    await until('4 was looked at', hasOutcomes('4', ['ineligible']));
    const place = {
      topic: expect.stringMatching(/^page_views/) as string,
      partition: expect.any(Number) as number,
      offset: expect.any(Number) as number,
    };
    const calls = {
      update_ms: expect.any(Number) as number,
      track_ms: expect.any(Number) as number,
    };
    expect(deliveries('9').findLast((line) => line['outcome'] === 'sent')).toMatchObject({
      page_view_id: expect.stringMatching(/^\d+$/) as string,
      update_status: 200,
      track_status: 200,
      ...calls,
      ...place,
    });
    expect(deliveries('2')[0]).toMatchObject({ outcome: 'refused', update_status: 400, ...place });
    expect(deliveries('4')[0]).toMatchObject({ outcome: 'ineligible', messages: 1, ...place });
    expect(program.stderr).not.toContain('"outcome"');
    expect(fileOf(on)).not.toContain('email.com');
  });
});
