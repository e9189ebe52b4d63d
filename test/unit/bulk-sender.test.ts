import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { Rule } from '../../src/rule/rule.ts';
import type { Session } from '../../src/database/open.ts';
import { Batch } from '../../src/commands/batch.ts';
import { BulkSender } from '../../src/commands/bulk-sender.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import { Outages } from '../../src/observe/outages.ts';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import type { EligibleUser } from '../../src/rule/eligible-user.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import type { DeadLetter } from '../../src/topics/port.ts';
import { DEFAULT_COLUMN_ROWS } from '../support/default-columns.ts';
import { user } from '../support/reconciler-world.ts';
import { startGateway } from '../support/gateway.ts';
import { triggerFor } from '../support/triggers.ts';

const row = (id: number): Record<string, unknown> => ({
  id,
  email: `user${id}@example.com`,
  page_view_id: id,
  // plan_type and page, of the default fields.
  field_2: 'pro',
  field_4: 'pricing',
  event_time: '2026-01-01 00:00:00',
  event_epoch: 1_767_225_600,
});

/** What the row stands for. */
const userOf = (id: number): EligibleUser => ({
  ...user(String(id), String(id)),
  email: `user${id}@example.com`,
  eventEpochSeconds: 1_767_225_600,
});

const logger = pino({ level: 'silent' });

function batchTo(baseUrl: string, query: Session['query'], letters: DeadLetter[]): Batch {
  const context = {
    settings: {
      resultsDir: mkdtempSync(join(tmpdir(), 'bulk-')),
      iterable: {
        apiKey: 'key',
        baseUrl,
        timeoutMs: 10_000,
        usersUpdatePerSecond: 500,
        eventsTrackPerSecond: 2_000,
      },
    },
    logger,
    outages: new Outages(logger),
    signal: new AbortController().signal,
    print: () => undefined,
  } as unknown as CommandContext;
  const rule = { planType: 'pro', pages: ['pricing'], lookbackDays: 7 };
  return new Batch(context, {
    rule: new Rule(query, rule, { name: 'shop', user: 'me', model: DEFAULT_MODEL }),
    session: (work) => work({ query, facts: new Map(), model: DEFAULT_MODEL }),
    share: 1,
    looksMax: 1,
    patience: { triesMin: 3, failingMsMin: 200 },
    deadLetters: { add: (more) => Promise.resolve(void letters.push(...more)) },
  });
}

describe('BulkSender', () => {
  // Guards the halving in #call, and the reconciler's patience.
  it('finds the users that make a whole bulk call fail; the others are sent, these set aside', async () => {
    const poisoned = ['user1@example.com', 'user130@example.com', 'user131@example.com'];
    await using simulator = await startSimulator({ port: 0, limits: 'off' });
    await using gateway = await startGateway(simulator.url, (_path, body) =>
      poisoned.some((email) => body.includes(`"${email}"`))
        ? { status: 500, body: '{"code":"GenericError"}' }
        : null,
    );
    const letters: DeadLetter[] = [];
    const query: Session['query'] = (sql, { user_ids: ids }) => {
      if (sql.includes('information_schema')) return Promise.resolve(DEFAULT_COLUMN_ROWS);
      return Promise.resolve(Array.isArray(ids) ? ids.map((id) => row(Number(id))) : []);
    };
    await using batch = batchTo(gateway.url, query, letters);
    batch.fatal.catch(() => undefined);
    const users: EligibleUser[] = Array.from({ length: 200 }, (_, i) => userOf(i + 1));
    const failing = await new BulkSender(batch).send(users);
    expect([...failing.keys()].sort()).toEqual(['1', '130', '131']);
    expect(batch.totals).toMatchObject({ processed: 197, successful: 197 });
    batch.reconciler.accept([...failing.keys()].map((userId) => triggerFor(userId)));
    await batch.reconciler.idle();
    expect(batch.totals).toMatchObject({ processed: 200, successful: 197, failed: 3 });
    expect(batch.exitCode(true)).toBe(1);
    expect(letters).toHaveLength(3);
    for (const letter of letters) {
      expect(letter).toMatchObject({ status: 500, code: 'set-aside' });
      expect(letter.reason).toMatch(/^set-aside: users\/update failed \d+ times/);
    }
    expect(simulator.users.size).toBe(197);
  }, 120_000);

  // Five calls a second: one for the few of each page that a stream beside it changes would halve them.
  it('leaves who has changed meanwhile to be sent singly, and records the others', async () => {
    await using simulator = await startSimulator({ port: 0, limits: 'off' });
    const query: Session['query'] = (sql, { user_ids: ids }) => {
      if (sql.includes('information_schema')) return Promise.resolve(DEFAULT_COLUMN_ROWS);
      return Promise.resolve(
        (Array.isArray(ids) ? ids : []).map((id) =>
          id === 2 ? { ...row(2), page_view_id: 99 } : row(Number(id)),
        ),
      );
    };
    await using batch = batchTo(simulator.url, query, []);
    const users = [1, 2, 3].map(userOf);
    const left = await new BulkSender(batch).send(users);
    expect([...left.keys()]).toEqual(['2']);
    expect(left.get('2')).toMatchObject({
      calls: [{ outcome: { kind: 'ok' } }, { outcome: { kind: 'ok' } }],
    });
    expect(batch.totals).toMatchObject({ processed: 2, successful: 2 });
    expect(simulator.users.size).toBe(3);
  });
});
