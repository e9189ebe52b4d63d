import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DecodedRows } from '../../src/source/mysql/decode/decoded-rows.ts';
import { EventTimes } from '../../src/source/mysql/decode/event-time.ts';
import { type Checkpoint, checkpointText, parseCheckpoint } from '../../src/capture/checkpoint.ts';
import {
  type ServerPosition,
  parsePosition,
  sourcePosition,
} from '../../src/source/mysql/position.ts';
import { type Gtid, parseGtid } from '../../src/source/mysql/gtid.ts';
import { RowMessages, userChange } from '../../src/capture/messages.ts';
import { Stamp } from '../../src/source/mysql/transactions/stamp.ts';
import { ResultsFile } from '../../src/commands/results-file.ts';
import { ResumeFile } from '../../src/commands/resume-file.ts';
import { NO_TOTALS, withDelivery } from '../../src/commands/totals.ts';
import { deadLetterOf } from '../../src/deliver/dead-letter.ts';
import { readMessage, scanOwnView } from '../../src/deliver/read-message.ts';
import type { Delivery } from '../../src/deliver/sink.ts';
import { openFile } from '../../src/topics/embedded/file.ts';
import { readLetter } from '../../src/topics/kafka/letter-index.ts';
import { MessageList } from '../../src/topics/message-list.ts';
import { USER_CHANGE_CAUSES } from '../../src/topics/messages.ts';
import { topicNames } from '../../src/topics/names.ts';
import type { OutgoingMessage } from '../../src/topics/port.ts';
import { PAGE_VIEWS_COLUMNS } from '../support/default-tables.ts';
import { callsOf } from '../support/deliveries.ts';
import { listed } from '../support/listed.ts';

const PAGE = readFileSync(new URL('../../docs/data-format.md', import.meta.url), 'utf8');
const NAMES = topicNames('page_views');
const NOW = Date.parse('2026-01-13T14:30:46.120Z');
const SERVER = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

function block(name: string): string {
  const found = new RegExp(`<!-- example: ${name} -->\\s+\`\`\`\\w+\\n([^]*?)\`\`\``).exec(
    PAGE,
  )?.[1];
  if (found === undefined) throw new Error(`docs/data-format.md has no example: ${name}`);
  return found;
}

/** The example as it is written: on one line, in the same order. */
const example = (name: string): string => JSON.stringify(JSON.parse(block(name)));

const field = (name: string, of: string): string =>
  String((JSON.parse(block(of)) as Record<string, unknown>)[name]);

function captured(gtid: Gtid | null): readonly OutgoingMessage[] {
  const row = {
    ...(JSON.parse(block('page view')) as object),
    event_time: new Date('2026-01-13T14:30:45.900Z'),
  };
  const rows = new DecodedRows([row], 'insert', PAGE_VIEWS_COLUMNS, new EventTimes('+00:00'));
  const stamp = new Stamp({ gtid, file: 'binlog.000002', position: 157 }, SERVER, NOW);
  const batch = new MessageList();
  const event = { kind: 'rows', table: 'page_views', operation: 'insert', rows } as const;
  new RowMessages(NAMES).rows(event, stamp, batch);
  return listed(batch);
}

const OK = { kind: 'ok', status: 200, body: { msg: '', code: 'Success', params: null } } as const;
const refused = (code: string, msg: string) =>
  ({ kind: 'refused', status: 400, code, message: '', body: { msg, code, params: null } }) as const;
const USER = {
  userId: '7',
  email: 'kate.taylor@email.com',
  profile: { plan_type: 'pro', recent_page_view: true },
  pageViewId: '123',
  event: { page: 'pricing', timestamp: '2026-01-13 14:30:45' },
  eventEpochSeconds: 1768314645,
};

describe('docs/data-format.md', () => {
  it('has the page view that capture writes and deliver reads', () => {
    const [message] = captured(parseGtid(`${SERVER}:23`));
    expect(message?.value).toBe(example('page view'));
    expect(JSON.stringify(message?.headers)).toBe(example('headers mysql'));
    expect(message).toMatchObject({ topic: 'page_views', key: '7', timestampMs: NOW });
    expect(scanOwnView(example('page view'))).toMatchObject({ userId: '7' });
    expect(JSON.stringify(captured(null)[0]?.headers)).toBe(example('headers file'));
  });

  it('has the user change, and every cause', () => {
    const { value } = userChange(NAMES.userChanges, 7, 'customers.update', NOW, {});
    expect(value).toBe(example('user change'));
    expect(readMessage({ value }, 'page_view').kind).toBe('triggers');
    const rows = [...PAGE.matchAll(/^\| `([\w.]+)` +\| [^|]+\|$/gm)].map(([, cell]) => cell);
    expect(rows).toEqual(expect.arrayContaining([...USER_CHANGE_CAUSES]));
  });

  it('has dead letters of both kinds', () => {
    const update = refused('InvalidEmailAddressError', '');
    const letter = deadLetterOf({ user: USER, calls: callsOf(update, OK) }, NOW);
    expect(JSON.stringify(letter)).toBe(example('dead letter'));
    for (const name of ['dead letter', 'dead letter unreadable']) {
      const message = { key: field('id', name), value: example(name), topic: '', timestampMs: 0 };
      const kept = readLetter({ ...message, partition: 0, offset: 0, headers: {} });
      expect(JSON.stringify(kept?.letter)).toBe(example(name));
    }
  });

  it.each(['checkpoint', 'checkpoint file'])('has a %s as it is saved', (name) => {
    const { position, pending } = parseCheckpoint(example(name)) as Checkpoint;
    const { flavour, serverUuid, ...inLog } = parsePosition(position) as ServerPosition;
    const saved = sourcePosition({ flavour, serverUuid }, inLog);
    const atMs = Date.parse(field('at', name));
    expect(checkpointText(saved, pending, atMs)).toBe(example(name));
  });

  it('has the tables of the topics file', () => {
    using db = openFile(mkdtempSync(join(tmpdir(), 'data-format-')));
    const plain = (sql: string): string => sql.replaceAll(/\s+/g, ' ').trim();
    const tables = db.prepare("SELECT sql FROM sqlite_master WHERE type = 'table'").all();
    const documented = block('schema').split(';').map(plain).filter(Boolean);
    expect(documented.toSorted()).toEqual(tables.map(({ sql }) => plain(String(sql))).toSorted());
  });

  it('has the results file and the resume file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'data-format-'));
    const track = refused('BadParams', 'createdAt is in the future');
    const delivery: Delivery = { user: USER, calls: callsOf(OK, track) };
    {
      using file = new ResultsFile(folder);
      file.add(delivery);
      file.flush(withDelivery(NO_TOTALS, delivery));
    }
    const [name = ''] = readdirSync(folder);
    const results = JSON.parse(readFileSync(join(folder, name), 'utf8')) as object;
    const time = /"timestamp":"[^"]+"/;
    const shown = JSON.stringify(results).replace(time, time.exec(example('results'))?.[0] ?? '');
    expect(shown).toBe(example('results'));

    new ResumeFile(folder, field('rule', 'resume')).begin(field('last_user_id', 'resume'));
    expect(readFileSync(join(folder, 'backfill.json'), 'utf8')).toBe(`${example('resume')}\n`);
  });
});
