import { afterAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/database/open.ts';
import { Rule } from '../../src/rule/rule.ts';
import { DATABASES, freshDatabase, injectServices } from '../support/services.ts';

const RULE = { planType: 'pro', pages: ['pricing', 'settings'], lookbackDays: 7 };

/** Types of a column that becomes a field, and a value of each. */
const TYPES = [
  ['TINYINT(1)', '1'],
  ['BIT(9)', "b'101010101'"],
  ['BIGINT UNSIGNED', '18446744073709551615'],
  ['DECIMAL(30,10)', '12345678901234567890.0123456789'],
  ['DOUBLE', '1e300'],
  ["ENUM('a','é')", "'é'"],
  ["SET('a','b')", "'a,b'"],
  ['JSON', '\'{"a": [1, 2.50, "é", null]}\''],
  ['BLOB', '0xFF00C3A9'],
  ['VARCHAR(9) CHARACTER SET latin1', "'é'"],
  ['TEXT CHARACTER SET utf8mb4', "'😀'"],
  ['TIME(3)', "'-12:00:00.250'"],
  ['YEAR', '2026'],
  ['DATE', "'2026-01-13'"],
  ['DATETIME(6)', "'2026-01-13 14:30:45.123456'"],
] as const;

describe.each(DATABASES)('a look on %s', (flavour) => {
  const opened = freshDatabase(injectServices()[flavour]);
  afterAll(async () => (await opened)[Symbol.asyncDispose]());

  // Guards VISIBLE_VIEWS: what a second half adds must not change how the first one reads.
  test.each(TYPES)('reads a field of type %s as the rule alone does', async (type, value) => {
    const { connection, settings } = await opened;
    for (const sql of [
      'DROP TABLE IF EXISTS page_views, customers',
      `CREATE TABLE customers (id INT PRIMARY KEY, email VARCHAR(255), first_name ${type}, last_name TEXT, plan_type VARCHAR(20), candidate ${type})`,
      `CREATE TABLE page_views (id BIGINT PRIMARY KEY, user_id INT, page VARCHAR(100), device ${type}, browser TEXT, location VARCHAR(120), event_time ${type.startsWith('DATETIME') ? type : 'TIMESTAMP'} NULL)`,
      `INSERT INTO customers VALUES (1, 'a@x.test', ${value}, NULL, 'pro', ${value}), (2, 'b@x.test', NULL, 'é', 'free', NULL)`,
      `INSERT INTO page_views VALUES (10, 1, 'pricing', ${value}, 'b', 'é', NOW()), (11, 1, 'home', NULL, NULL, NULL, NOW()), (12, 2, 'pricing', ${value}, NULL, NULL, NOW())`,
    ]) {
      await connection.query(sql);
    }
    await using database = await openDatabase(settings);
    const rule = new Rule(database.query, RULE, settings);
    const { rows, views } = await rule.look(['1', '2'], ['10', '12', '13']);
    expect(rows).toHaveLength(1);
    expect(rows).toEqual(await rule.among(['1', '2']));
    expect(['10', '12', '13'].filter((id) => views.has(id))).toEqual(['10', '12']);
    expect((await rule.look(['1'], [])).rows).toEqual(rows);
  });
});
