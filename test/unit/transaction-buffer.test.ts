import { describe, expect, test } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import {
  TransactionBuffer,
  type Loss,
} from '../../src/source/mysql/transactions/transaction-buffer.ts';
import { BatchQueue } from '../../src/source/mysql/transactions/batch-queue.ts';
import { DecodedRows } from '../../src/source/mysql/decode/decoded-rows.ts';
import { EventTimes } from '../../src/source/mysql/decode/event-time.ts';
import type { CaptureEvent } from '../../src/source/mysql/dump/events.ts';
import { PositionTracker } from '../../src/source/mysql/position.ts';
import { UNKNOWN_STATUS } from '../../src/source/mysql/dump/query-status.ts';
import { RowMessages } from '../../src/capture/messages.ts';
import { MessageList } from '../../src/topics/message-list.ts';
import type { OutgoingMessage } from '../../src/topics/port.ts';
import { PAGE_VIEWS_COLUMNS } from '../support/default-tables.ts';
import { listed } from '../support/listed.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const NAMES = { pageViews: 'v', userChanges: 'u', deadLetters: 'd', checkpoints: 'c' };
const TIMES = new EventTimes('+00:00');

function buffering() {
  const messages: OutgoingMessage[] = [];
  const losses: Loss[] = [];
  const warnings: string[] = [];
  const everyone: string[] = [];
  const tracker = new PositionTracker('mysql', { gtidSet: '' });
  const queue = new BatchQueue(
    () => new MessageList(),
    (ends) => tracker.end(ends),
  );
  /** Publishes at once what is decided. */
  const published = <T>(result: T): T => {
    for (let batch = queue.next(); batch !== undefined; batch = queue.next()) {
      for (const action of batch.actions) action();
      messages.push(...listed(batch.messages));
    }
    return result;
  };
  const buffer = new TransactionBuffer({
    watched: () => ({ database: 'shop', model: DEFAULT_MODEL, parents: [] }),
    server: 'server-1',
    encoder: new RowMessages(NAMES),
    onRow: () => undefined,
    tracker,
    changes: {
      begin: () => queue.begin(),
      rows: (fill) => published(queue.rows(fill)),
      get undecided() {
        return queue.undecided;
      },
      takeBack: (keep) => queue.takeBack(keep),
      decide: () => published(queue.decide()),
      add: (fill, counted) => published(queue.add(fill, counted)),
      mark: (action) => published(queue.mark(action)),
      end: (end) => published(queue.end(end)),
    },
    clock: { epochMs: () => 5_500 },
    onLoss: (loss) => losses.push(loss),
    onResync: (because) => everyone.push(because),
    onWarning: (sentence) => warnings.push(sentence),
  });
  const at = { file: 'f.1', position: 100 };
  const begin = (n: number, commitMs: number): CaptureEvent => ({
    ...at,
    kind: 'begin',
    gtid: { source: `${UUID}:`, number: n },
    commitMs,
    seconds: 5,
    isOpen: false,
    isXa: false,
  });
  const statement = (text: string): CaptureEvent => ({
    ...at,
    kind: 'statement',
    schema: 'shop',
    text,
    status: UNKNOWN_STATUS,
  });
  const row = (id: number): CaptureEvent => ({
    kind: 'rows',
    table: 'page_views',
    operation: 'insert',
    rows: new DecodedRows([{ id, user_id: 1, page: 'home' }], 'insert', PAGE_VIEWS_COLUMNS, TIMES),
  });
  const handle = (...events: CaptureEvent[]): void => {
    for (const event of events) buffer.handle(event);
  };
  const position = (): string => (tracker.current() as { gtidSet: string }).gtidSet;
  return { messages, losses, everyone, warnings, handle, begin, statement, row, at, position };
}

describe('the transaction buffer', () => {
  test('lets rows go at the end of their transaction, when the position moves', () => {
    const t = buffering();
    t.handle(t.begin(1, 5_001), t.statement('BEGIN'), t.row(1));
    expect(t.messages).toEqual([]);
    expect(t.position()).toBe('');
    t.handle({ ...t.at, kind: 'end' });
    expect(t.messages).toHaveLength(1);
    expect(t.position()).toBe(`${UUID}:1`);
  });

  test('lets rows of a large transaction go before its end, and warns if it is rolled back', () => {
    const t = buffering();
    t.handle(t.begin(1, 5_001), t.statement('BEGIN'));
    for (let id = 0; id < 10_000; id += 1) t.handle(t.row(id));
    expect(t.messages).toHaveLength(10_000);
    expect(t.position()).toBe('');
    t.handle(t.statement('ROLLBACK'));
    expect(t.warnings.join()).toContain('rolled back');
  });

  test('drops what is rolled back: the whole, or what came after a savepoint', () => {
    const t = buffering();
    t.handle(t.begin(1, 5_001), t.statement('BEGIN'), t.row(1), t.statement('ROLLBACK'));
    t.handle(t.begin(2, 5_002), t.statement('BEGIN'), t.row(2), t.statement('SAVEPOINT `a`'));
    t.handle(t.row(3), t.statement('SAVEPOINT `b`'), t.row(4), t.statement('ROLLBACK TO `b`'));
    t.handle(t.statement('ROLLBACK TO `A`'), t.row(5), { ...t.at, kind: 'end' });
    const ids = t.messages.map(({ value }) => (JSON.parse(value) as { id: number }).id);
    expect(ids).toEqual([2, 5]);
    expect(t.warnings).toEqual([]);
    expect(t.position()).toBe(`${UUID}:1-2`);
  });

  test('gives an XA transaction the time and the position of its commit', () => {
    const t = buffering();
    const xid = '1:61:';
    t.handle(t.begin(1, 5_001), t.statement("XA START X'61',X'',1"), t.row(1));
    t.handle(t.statement("XA END X'61',X'',1"), { ...t.at, kind: 'prepare', xid });
    t.handle(t.begin(2, 5_002), t.statement('BEGIN'), t.row(2), { ...t.at, kind: 'end' });
    expect(t.messages.map(({ timestampMs }) => timestampMs)).toEqual([5_002]);
    expect(t.position()).toBe(`${UUID}:2`);
    t.handle(t.begin(3, 5_003), t.statement("XA COMMIT X'61',X'',1"));
    expect(t.messages.map(({ timestampMs }) => timestampMs)).toEqual([5_002, 5_003]);
    expect(t.messages[1]?.headers).toEqual({ schema: 'page_view/1', position: `${UUID}:3` });
    expect(t.position()).toBe(`${UUID}:1-3`);
    expect(t.losses).toEqual([]);
  });

  // Guards XaTransactions.commit in #release: such a transaction has no decision of its own.
  test('looks at everyone for what no row tells in an XA transaction of one phase', () => {
    const t = buffering();
    t.handle(t.begin(1, 5_001), t.statement("XA START X'61',X'',1"));
    t.handle({ kind: 'unseen', because: 'a cascade' });
    expect(t.everyone).toEqual([]);
    t.handle({ ...t.at, kind: 'end' });
    expect(t.everyone).toEqual(['a cascade']);
  });

  test('asks to start anew when an XA transaction commits whose rows were never seen', () => {
    const t = buffering();
    t.handle(t.begin(3, 5_003), t.statement("XA ROLLBACK X'61',X'',1"));
    expect(t.losses).toEqual([]);
    t.handle(t.begin(4, 5_004), t.statement("XA COMMIT X'61',X'',1"));
    expect(t.losses.map(({ isFatal }) => isFatal)).toEqual([false]);
  });

  test('takes a table made by SELECT for one transaction, and DDL for one of its own', () => {
    const t = buffering();
    t.handle(t.begin(1, 5_001), t.statement('CREATE TABLE other (id INT)'));
    expect(t.position()).toBe(`${UUID}:1`);
    t.handle(t.begin(2, 5_002), t.statement('BEGIN'));
    t.handle(t.statement('CREATE TABLE x (id INT) START TRANSACTION'), t.row(1));
    expect(t.position()).toBe(`${UUID}:1`);
    t.handle({ ...t.at, kind: 'end' });
    expect(t.position()).toBe(`${UUID}:1-2`);
  });

  test('refuses rows as text and what cannot be read, and leaves the position before them', () => {
    const t = buffering();
    t.handle(t.begin(1, 5_001), t.statement('BEGIN'));
    t.handle(t.statement('UPDATE customers SET a = 1'));
    t.handle({ kind: 'unreadable', sentence: 'set it' });
    expect(t.losses.map(({ isFatal }) => isFatal)).toEqual([true, true]);
    expect(t.losses[1]?.sentence).toBe('set it');
    expect(t.position()).toBe('');
  });

  // Guards INCIDENT_EVENT: the server itself says that rows are missing.
  test('starts anew after an incident, and looks at everyone after a definition that may change rows', () => {
    const t = buffering();
    t.handle(t.begin(1, 5_001), t.statement('ALTER TABLE customers ADD COLUMN phone INT'));
    expect(t.everyone).toEqual([]);
    t.handle(t.begin(2, 5_002), t.statement('RENAME TABLE customers_new TO customers'));
    expect(t.everyone).toEqual(['the definition of customers was changed']);
    expect(t.losses).toEqual([]);
    expect(t.position()).toBe(`${UUID}:1-2`);
    t.handle({ kind: 'incident' });
    expect(t.losses.map(({ isFatal }) => isFatal)).toEqual([false]);
  });
});
