import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import { checkVariables, hasGlobalGrant, refusalOf } from '../../src/source/mysql/checks/checks.ts';
import { estimateCommitMs, readCommitTimeMs } from '../../src/source/mysql/dump/commit-time.ts';
import { EventTimes } from '../../src/source/mysql/decode/event-time.ts';
import { noteFailures } from '../../src/capture/failure.ts';
import { isTransient } from '../../src/source/mysql/failure.ts';
import { lockName } from '../../src/source/mysql/lock.ts';
import { isImageWhole, planTable } from '../../src/source/mysql/decode/table-plan.ts';
import { UnavailableError } from '../../src/errors.ts';
import { MessageList } from '../../src/topics/message-list.ts';

// Guards `isOwn` in noteFailures: the lock's lost connection would end the program as a topics error.
test("what cuts publishing short is not the publisher's failure, what it throws itself is", async () => {
  const lost = new Error('the connection of the lock is lost');
  const full = new Error('the topics refuse');
  const { publisher, failed } = noteFailures({
    batch: () => new MessageList(),
    publish: (_messages, _checkpoint, signal) =>
      signal?.aborted === true ? Promise.reject(signal.reason as Error) : Promise.reject(full),
    loadCheckpoint: () => Promise.resolve(null),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  await expect(publisher.publish([], undefined, AbortSignal.abort(lost))).rejects.toBe(lost);
  await expect(publisher.publish([], undefined, new AbortController().signal)).rejects.toBe(full);
  expect([failed.has(lost), failed.has(full)]).toEqual([false, true]);
});

describe('what a server must be set to', () => {
  const variables = {
    log_bin: 'ON',
    binlog_format: 'ROW',
    binlog_row_image: 'FULL',
    binlog_row_metadata: 'FULL',
    binlog_row_value_options: '',
    binlog_transaction_compression: 'OFF',
    gtid_mode: 'ON',
    server_id: '1',
    binlog_expire_logs_seconds: '2592000',
  };
  const refusal = (
    change: Record<string, string | undefined>,
    flavour: 'mysql' | 'mariadb' = 'mysql',
  ) => {
    const all = Object.entries({ ...variables, ...change }).filter(
      (entry) => entry[1] !== undefined,
    );
    const map = new Map(all.map(([name, value]) => [name, value ?? '']));
    return refusalOf(
      checkVariables({ flavour, variables: map, hasGtids: map.get('gtid_mode') === 'ON' }),
    );
  };

  test('is nothing more when all is as it should be, or when a version has no such setting', () => {
    expect(refusal({})).toBeNull();
    expect(refusal({ binlog_format: undefined, binlog_row_value_options: undefined })).toBeNull();
    expect(refusal({ binlog_transaction_compression: undefined }, 'mariadb')).toBeNull();
  });

  test.each([
    [{ log_bin: 'OFF' }, '--log-bin'],
    [{ binlog_format: 'MIXED' }, 'binlog_format=ROW'],
    [{ binlog_row_image: 'MINIMAL' }, 'binlog_row_image=FULL'],
    [{ binlog_row_metadata: 'MINIMAL' }, 'binlog_row_metadata=FULL'],
    [{ binlog_row_metadata: undefined }, 'MySQL 8.0.1'],
    [{ binlog_transaction_compression: 'ON' }, 'binlog_transaction_compression=OFF'],
    [{ binlog_row_value_options: 'PARTIAL_JSON' }, 'binlog_row_value_options'],
    [{ server_id: '0' }, 'server_id'],
  ])('is said when %j', (change, sentence) => {
    expect(refusal(change)).toContain(sentence);
  });

  test('GTIDs and long retention are advice, and no condition', () => {
    expect(refusal({ gtid_mode: 'OFF', binlog_expire_logs_seconds: '3600' })).toBeNull();
    const map = new Map(Object.entries({ ...variables, binlog_expire_logs_seconds: '3600' }));
    const checks = checkVariables({ flavour: 'mysql', variables: map, hasGtids: false });
    expect(checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['retention', 'GTID']);
  });

  test('a global grant is found among others, and not taken from a database', () => {
    const wanted = ['REPLICATION SLAVE'];
    expect(hasGlobalGrant(['GRANT PROCESS, REPLICATION SLAVE ON *.* TO `a`@`%`'], wanted)).toBe(
      true,
    );
    expect(hasGlobalGrant(['GRANT ALL PRIVILEGES ON *.* TO `a`@`%`'], wanted)).toBe(true);
    expect(hasGlobalGrant(['GRANT ALL PRIVILEGES ON `db`.* TO `a`@`%`'], wanted)).toBe(false);
    expect(hasGlobalGrant(['GRANT REPLICATION SLAVE ADMIN ON *.* TO `a`@`%`'], wanted)).toBe(false);
  });

  test('the lock has a name of its own for each database and topic, short enough for MySQL', () => {
    const names = [
      lockName('a', 'b'),
      lockName('ab', ''),
      lockName('a', 'c'),
      lockName('é'.repeat(64), 'x'.repeat(249)),
    ];
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name.length).toBeLessThanOrEqual(64);
  });
});

describe('trouble', () => {
  test('is waited out when the server is away, and not when it refuses', () => {
    const coded = (code: string): Error => Object.assign(new Error('x'), { code });
    expect(isTransient(coded('ECONNREFUSED'))).toBe(true);
    expect(isTransient(coded('PROTOCOL_CONNECTION_LOST'))).toBe(true);
    expect(isTransient(new UnavailableError('x', { cause: coded('ECONNREFUSED') }))).toBe(true);
    expect(isTransient(new Error('silent'))).toBe(true);
    expect(isTransient(coded('ER_ACCESS_DENIED_ERROR'))).toBe(false);
    expect(isTransient(new UnavailableError('x', { cause: coded('ER_BAD_DB_ERROR') }))).toBe(false);
    expect(isTransient(new UnavailableError('set this'))).toBe(false);
  });
});

describe('times', () => {
  test('event_time is UTC seconds: instants as they are, wall times by their zone', () => {
    const wall = new Date(Date.UTC(2026, 6, 1, 12, 0, 0, 999));
    expect(new EventTimes('+00:00').text(wall, 'instant')).toBe('2026-07-01T12:00:00Z');
    expect(new EventTimes('-05:30').text(wall, 'instant')).toBe('2026-07-01T12:00:00Z');
    expect(new EventTimes('-05:30').text(wall, 'wall')).toBe('2026-07-01T17:30:00Z');
    const berlin = new EventTimes('Europe/Berlin');
    expect(berlin.text(wall, 'wall')).toBe('2026-07-01T10:00:00Z');
    expect(berlin.text(new Date(Date.UTC(2026, 0, 1, 12)), 'wall')).toBe('2026-01-01T11:00:00Z');
    expect(berlin.text(new Date(Date.UTC(2026, 2, 29, 3, 30)), 'wall')).toBe(
      '2026-03-29T01:30:00Z',
    );
  });

  test('event_time is what toISOString says, cut to the second, before 1970 too', () => {
    const times = new EventTimes('+00:00');
    fc.assert(
      fc.property(
        fc.date({ noInvalidDate: true, min: new Date('1000-01-01'), max: new Date('9999-12-31') }),
        (date) => {
          const whole = new Date(Math.floor(date.getTime() / 1000) * 1000);
          expect(times.text(date, 'wall')).toBe(whole.toISOString().replace('.000', ''));
        },
      ),
    );
  });

  test('zero dates are no time', () => {
    const times = new EventTimes('+00:00');
    expect(times.text(new Date(0), 'instant')).toBeNull();
    expect(times.text(new Date(Number.NaN), 'wall')).toBeNull();
    expect(times.text(new Date(0), 'wall')).toBe('1970-01-01T00:00:00Z');
  });

  test('the commit time of a GTID event is read to the millisecond, and of no other event', () => {
    const packet = Buffer.alloc(100);
    packet[5 + 3] = 33;
    packet[3 + 45] = 2;
    const micros = 1_795_438_886_983_456n;
    packet.writeBigUInt64LE(micros | (1n << 55n), 3 + 62);
    expect(readCommitTimeMs(packet, 3, 100)).toBe(1_795_438_886_983);
    expect(readCommitTimeMs(packet, 3, 3 + 68)).toBeNull();
    packet[5 + 3] = 30;
    expect(readCommitTimeMs(packet, 3, 100)).toBeNull();
  });

  test('where only the second is known, the estimate is now within that second', () => {
    expect(estimateCommitMs(5_400, 5)).toBe(5_400);
    expect(estimateCommitMs(9_000, 5)).toBe(5_999);
    expect(estimateCommitMs(4_990, 5)).toBe(5_000);
  });
});

const VIEWS = {
  table: 'page_views',
  name: 'page_views',
  columns: DEFAULT_MODEL.columns.page_views,
} as const;
const CUSTOMERS = {
  table: 'customers',
  name: 'customers',
  columns: DEFAULT_MODEL.columns.customers,
} as const;

describe('a table as the binlog describes it', () => {
  const columns = ['note', 'ID', 'User_ID', 'page', 'device', 'browser', 'location', 'event_time'];
  const described = columns.map((name) => ({ name, type: name === 'event_time' ? 18 : 3 }));

  test('is read by names, in any order and spelling', () => {
    expect(planTable(VIEWS, described)).toEqual({
      table: 'page_views',
      name: 'page_views',
      needed: [1, 2, 3, 4, 5, 6, 7],
      columns: {
        id: 'ID',
        userId: 'User_ID',
        page: 'page',
        device: 'device',
        browser: 'browser',
        location: 'location',
        eventTime: 'event_time',
        isWallTime: true,
      },
    });
  });

  test('is refused by the name of the column that it lacks', () => {
    expect(planTable(VIEWS, described.slice(0, 5))).toEqual({
      missing: 'browser',
      role: 'browser',
    });
    expect(planTable(CUSTOMERS, [{ name: 'email', type: 15 }])).toEqual({
      missing: 'id',
      role: 'customers.id',
    });
  });

  test('has whole rows when all needed columns are in the image', () => {
    const plan = planTable(VIEWS, described);
    if ('missing' in plan) throw new Error('no plan');
    expect(isImageWhole(plan, Uint8Array.of(0b1111_1111))).toBe(true);
    expect(isImageWhole(plan, Uint8Array.of(0b1111_1110))).toBe(true);
    expect(isImageWhole(plan, Uint8Array.of(0b0111_1111))).toBe(false);
    expect(isImageWhole(plan, Uint8Array.of(0b0000_0010))).toBe(false);
  });
});
