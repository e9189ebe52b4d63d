import { describe, expect, it } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import { checkVariables } from '../../src/source/mysql/checks/checks.ts';
import { type ServerFound, serverSql } from '../../src/commands/init/server-sql.ts';

const found = (more: Partial<ServerFound>): ServerFound => ({
  account: 'sync@10.%',
  database: 'shop',
  model: DEFAULT_MODEL,
  flavour: 'mysql',
  mayRead: true,
  checks: [],
  ...more,
});

describe('the SQL that a server still needs', () => {
  it('is nothing where all holds', () => {
    expect(serverSql(found({})).sql).toEqual([]);
  });

  it('grants to the account that the server took the user for, quoted', () => {
    const grants = { name: 'grants', ok: false, detail: '', fix: '', required: true };
    const database = 'a`b';
    expect(serverSql(found({ mayRead: false, checks: [grants], database })).sql).toEqual([
      "GRANT SELECT ON `a``b`.* TO 'sync'@'10.%';",
      "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'sync'@'10.%';",
    ]);
    const mariadb = serverSql(found({ flavour: 'mariadb', checks: [grants], account: null }));
    expect(mariadb.sql).toEqual([
      "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'iterable_sync'@'%';",
    ]);
  });

  it.each(['mysql', 'mariadb'] as const)('puts every variable of %s right', (flavour) => {
    const variables = new Map([
      ['log_bin', 'OFF'],
      ['binlog_format', 'MIXED'],
      ['binlog_row_image', 'MINIMAL'],
      ['binlog_row_metadata', 'NO_LOG'],
      ['binlog_row_value_options', 'PARTIAL_JSON'],
      ['binlog_transaction_compression', 'ON'],
      ['binlog_expire_logs_seconds', '60'],
      ['server_id', '0'],
      ['sync_binlog', '0'],
      ['gtid_mode', 'OFF'],
    ]);
    const checks = checkVariables({ flavour, variables, hasGtids: false });
    const { sql, covered } = serverSql(found({ flavour, checks }));
    const failed = checks.filter(({ ok }) => !ok);
    expect(failed.length).toBeGreaterThan(5);
    for (const { name } of failed) expect(covered).toContain(name);
    expect(sql).toContain('--   log_bin = binlog');
    expect(sql).toContain(
      `SET ${flavour === 'mysql' ? 'PERSIST' : 'GLOBAL'} binlog_row_metadata = 'FULL';`,
    );
  });
});
