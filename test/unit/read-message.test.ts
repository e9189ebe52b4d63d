import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMessage, scanOwnView } from '../../src/deliver/read-message.ts';
import { ASKED, CHANGED, viewInserted } from '../../src/deliver/trigger.ts';
import type { TopicFormat } from '../../src/settings/types.ts';

const VIEW = {
  id: 123,
  user_id: 7,
  page: 'pricing',
  device: 'mobile',
  browser: 'Chrome',
  location: 'Austin, TX',
  event_time: '2026-01-13T14:30:45Z',
};
const VIEWED = { userId: '7', cause: viewInserted('123'), page: 'pricing' };
const CHANGE = { userId: '7', cause: CHANGED, page: null };

function read(value: unknown, format: TopicFormat = 'page_view'): unknown {
  const reading = readMessage(
    { value: typeof value === 'string' ? value : JSON.stringify(value) },
    format,
  );
  return reading.kind === 'triggers' ? reading.triggers : reading;
}

describe('readMessage: page_view and user_change', () => {
  it('reads an inserted page view', () => {
    expect(read(VIEW)).toEqual([VIEWED]);
  });

  it('reads a user change, and knows that a backfill is not one', () => {
    expect(read({ user_id: 7, cause: 'customers.update' })).toEqual([CHANGE]);
    expect(read({ user_id: 7, cause: 'backfill' })).toEqual([{ ...CHANGE, cause: ASKED }]);
  });

  it('keeps ids above 2^53 to the digit, as numbers and as strings', () => {
    const text =
      '{"id":18446744073709551610,"user_id":"9007199254740993","page":"home","event_time":null}';
    expect(read(text)).toEqual([
      {
        userId: '9007199254740993',
        cause: viewInserted('18446744073709551610'),
        page: 'home',
      },
    ]);
  });

  it('names what is missing or wrong, without the content', () => {
    const { user_id: _, ...withoutUser } = VIEW;
    expect(read(withoutUser)).toEqual({
      kind: 'unreadable',
      problem: 'the field user_id is missing',
    });
    expect(read({ ...VIEW, id: 'jane@x.org' })).toEqual({
      kind: 'unreadable',
      problem: 'the field id is not an id',
    });
    expect(read('no json')).toEqual({ kind: 'unreadable', problem: 'the message is not JSON' });
    expect(read('[1]')).toEqual({ kind: 'unreadable', problem: 'the message is not an object' });
  });

  it('finds nothing to do in a tombstone', () => {
    expect(readMessage({ value: null }, 'page_view')).toEqual({ kind: 'nothing' });
  });
});

describe('readMessage: debezium', () => {
  const source = { table: 'page_views', db: 'shop' };

  it('reads its envelope with and without schema, and flattened', () => {
    const envelope = { before: null, after: VIEW, source, op: 'c' };
    expect(read(envelope, 'debezium')).toEqual([VIEWED]);
    expect(read({ schema: {}, payload: envelope }, 'debezium')).toEqual([VIEWED]);
    expect(read({ ...envelope, op: 'r' }, 'debezium')).toEqual([VIEWED]);
    expect(read(VIEW, 'debezium')).toEqual([VIEWED]);
  });

  // Guards gtidOf: a replica's set of executed GTIDs then decides what it shows.
  it('takes the GTID where the message has one, in each of its forms', () => {
    const gtid = '3e11fa47-71ca-11e1-9e33-c80aa9429562:23';
    const envelope = { before: null, after: VIEW, source: { ...source, gtid }, op: 'c' };
    expect(read(envelope, 'debezium')).toEqual([{ ...VIEWED, gtid }]);
    expect(read({ schema: {}, payload: envelope }, 'debezium')).toEqual([{ ...VIEWED, gtid }]);
    expect(read({ ...VIEW, __source_gtid: gtid }, 'debezium')).toEqual([{ ...VIEWED, gtid }]);
    const maxwell = { table: 'page_views', type: 'insert', data: VIEW, gtid };
    expect(read(maxwell, 'maxwell')).toEqual([{ ...VIEWED, gtid }]);
  });

  it('looks at both users of a view that moved, and at the user of a deleted one', () => {
    const moved = { before: { ...VIEW, user_id: 8 }, after: VIEW, source, op: 'u' };
    expect(read(moved, 'debezium')).toEqual([CHANGE, { ...CHANGE, userId: '8' }]);
    expect(read({ before: VIEW, after: null, source, op: 'd' }, 'debezium')).toEqual([CHANGE]);
    expect(read({ ...VIEW, __deleted: 'true' }, 'debezium')).toEqual([CHANGE]);
  });

  it('reads changes of customers, and passes over other tables, truncates and heartbeats', () => {
    const customer = { before: null, after: { id: 7 }, source: { table: 'customers' }, op: 'u' };
    expect(read(customer, 'debezium')).toEqual([CHANGE]);
    const other = { before: null, after: { id: 1 }, source: { table: 'orders' }, op: 'c' };
    expect(read(other, 'debezium')).toEqual({ kind: 'nothing' });
    expect(read({ before: null, after: null, source, op: 't' }, 'debezium')).toEqual({
      kind: 'nothing',
    });
    expect(read({ ts_ms: 1 }, 'debezium')).toEqual({ kind: 'nothing' });
  });
});

describe('readMessage: maxwell', () => {
  const insert = { database: 'shop', table: 'page_views', type: 'insert', ts: 1, data: VIEW };

  it('reads inserts, bootstrap rows, updates and deletes', () => {
    expect(read(insert, 'maxwell')).toEqual([VIEWED]);
    expect(read({ ...insert, type: 'bootstrap-insert' }, 'maxwell')).toEqual([VIEWED]);
    expect(read({ ...insert, type: 'update', old: { page: 'home' } }, 'maxwell')).toEqual([CHANGE]);
    expect(read({ ...insert, type: 'update', old: { user_id: 8 } }, 'maxwell')).toEqual([
      CHANGE,
      { ...CHANGE, userId: '8' },
    ]);
    expect(read({ ...insert, type: 'delete' }, 'maxwell')).toEqual([CHANGE]);
  });

  it('reads changes of customers and passes over what has no row of ours', () => {
    const customer = {
      ...insert,
      table: 'customers',
      type: 'update',
      data: { id: 7 },
      old: { plan_type: 'free' },
    };
    expect(read(customer, 'maxwell')).toEqual([CHANGE]);
    expect(read({ ...insert, type: 'bootstrap-start' }, 'maxwell')).toEqual({ kind: 'nothing' });
    expect(read({ ...insert, table: 'orders' }, 'maxwell')).toEqual({ kind: 'nothing' });
  });
});

describe('readMessage: anything', () => {
  const formats = fc.constantFrom<TopicFormat>('page_view', 'debezium', 'maxwell');
  const wild = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record(
        {
          id: fc.jsonValue(),
          user_id: fc.jsonValue(),
          page: fc.jsonValue(),
          event_time: fc.jsonValue(),
          op: fc.jsonValue(),
          after: fc.jsonValue(),
          before: fc.jsonValue(),
          payload: fc.jsonValue(),
          schema: fc.jsonValue(),
          source: fc.jsonValue(),
          type: fc.constantFrom('insert', 'update', 'delete', 3),
          table: fc.constantFrom('page_views', 'customers', null),
          data: fc.jsonValue(),
          old: fc.jsonValue(),
          cause: fc.jsonValue(),
          ['__proto__']: fc.jsonValue(),
        },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
  );

  it('never throws, and only ever asks for users with a decimal id', () => {
    fc.assert(
      fc.property(wild, formats, (value, format) => {
        const reading = readMessage({ value }, format);
        if (reading.kind !== 'triggers') return;
        for (const { userId } of reading.triggers) expect(userId).toMatch(/^\d{1,20}$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('scanOwnView', () => {
  const text = fc.oneof(
    fc.constantFrom('pricing', '', ' Pricing ', 'é', '"', '\\', '\n', '\u2028', '{}', 'null'),
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.constant(null),
  );
  const id = fc.oneof(
    fc.nat(),
    fc.constantFrom<unknown>(0, -1, 1.5, '7', null, 1e11, 2 ** 53, '18446744073709551615'),
  );
  const view = fc.record({
    id,
    user_id: id,
    page: text,
    device: text,
    browser: text,
    location: text,
    event_time: fc.oneof(fc.constant('2026-01-13T14:30:45Z'), text),
  });
  const agrees = (value: string): void => {
    const scanned = scanOwnView(value);
    if (scanned === null) return;
    const { eventTime, ...read } = scanned;
    expect(readMessage({ value }, 'page_view')).toEqual({ kind: 'triggers', triggers: [read] });
    const parsed = JSON.parse(value) as { page: unknown; event_time: unknown };
    expect([read.page, eventTime]).toEqual([parsed.page, parsed.event_time]);
  };

  it('reads what we write, and says what parsing it would say', () => {
    expect(scanOwnView(JSON.stringify(VIEW))).toEqual({
      ...VIEWED,
      eventTime: VIEW.event_time,
    });
    fc.assert(fc.property(view, (row) => agrees(JSON.stringify(row))));
  });

  it('leaves to the parser whatever is written otherwise', () => {
    const written = JSON.stringify(VIEW);
    for (const other of [
      ` ${written}`,
      `${written}\n`,
      written.replace('}', ',"user_id":8}'),
      written.replace('}', ',"cause":"x"}'),
      written.replace('"id":123', '"id":0123'),
      written.replace('"id":123', '"id":"123"'),
      written.replace('pricing', 'pri\\u0063ing'),
      written.replace('Chrome', 'a", "page":"home'),
      written.replace('"mobile"', 'true'),
      written.slice(0, -1),
    ]) {
      expect(scanOwnView(other), other).toBeNull();
    }
    fc.assert(
      fc.property(fc.nat(written.length), fc.string({ maxLength: 3 }), fc.nat(4), (at, put, cut) =>
        agrees(written.slice(0, at) + put + written.slice(at + cut)),
      ),
    );
  });
});
