import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { readStatement } from '../../src/source/mysql/statements/statements.ts';
import { planTable } from '../../src/source/mysql/decode/table-plan.ts';
import { setupText } from '../../src/commands/setup-db.ts';
import { positional } from '../../src/database/placeholders.ts';
import { readMessage } from '../../src/deliver/read-message.ts';
import { COLUMNS, OUR_TABLES } from '../../src/model/columns.ts';
import {
  DEFAULT_MODEL,
  type DataModel,
  indexStatement,
  quoted,
} from '../../src/model/data-model.ts';
import {
  type FoundTables,
  fieldsIn,
  lackingColumns,
  lackingTables,
} from '../../src/model/found.ts';
import { parseColumnNames, parseFields } from '../../src/model/parse.ts';
import { ruleSql, ruleText } from '../../src/rule/rule-sql.ts';

const names = (raw: string): DataModel['columns'] => {
  const parsed = parseColumnNames(raw);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.value;
};
const MODEL: DataModel = {
  ...DEFAULT_MODEL,
  tables: { customers: 'Clients', page_views: 'visits' },
  columns: names('plan_type=tier,customers.id=no,user_id=visitor,page_views.id=visit'),
};

/** Tables with these columns, all of them texts. */
const found = (customers: readonly string[], views: readonly string[]): FoundTables => ({
  customers: customers.map((name) => ({ name, kind: 'text' })),
  page_views: views.map((name) => ({ name, kind: 'text' })),
});
const BY_ROLE = found(
  COLUMNS.filter(({ table }) => table === 'customers').map(({ role }) => role),
  COLUMNS.filter(({ table }) => table === 'page_views').map(({ role }) => role),
);

describe('COLUMN_NAMES', () => {
  it('gives names to roles, those of both tables by their table', () => {
    const parsed = names(
      ' Plan_Type = tier , customers.id=Kunden-Nr. ,page_views.id=`a,b=``c`,page_views.page=Seite ',
    );
    expect(parsed.customers).toMatchObject({ plan_type: 'tier', id: 'Kunden-Nr.', email: 'email' });
    expect(parsed.page_views).toMatchObject({ id: 'a,b=`c', page: 'Seite', user_id: 'user_id' });
    expect(names('first_name=last_name,last_name=first_name').customers).toMatchObject({
      first_name: 'last_name',
      last_name: 'first_name',
    });
  });

  it.each([
    ['plan=tier', 'there is no role "plan"; the roles are customers.id, email, first_name'],
    ['id=no', 'both tables have the role id: say customers.id or page_views.id'],
    ['plan_type=a,page=b,plan_type=c', '"plan_type=c" names the role customers.plan_type a second'],
    ['plan_type=', 'in "plan_type=", the name is empty'],
    ['=tier', 'there is no role ""'],
    ['plan_type', '"plan_type" is not role=name'],
    ['plan_type=a=b', '"plan_type=a=b" is not role=name'],
    ['plan_type=`a', '"plan_type=`a" cannot be read'],
    [',', 'none is named'],
    ['email=Plan_Type', 'customers.email and customers.plan_type have one name, "plan_type"'],
    ['device=x,browser=X', 'page_views.device and page_views.browser have one name, "X"'],
    [`email=${'x'.repeat(65)}`, 'is longer than the 64 characters of a name'],
    ['email=a😀', 'has a character that MySQL takes in no name'],
  ])('%s is refused, with the part and what could be', (raw, problem) => {
    expect(parseColumnNames(raw)).toEqual({ problem: expect.stringContaining(problem) as string });
  });

  it('takes any name in backticks', () => {
    const name = fc
      .string({ minLength: 1, maxLength: 64 })
      .filter((text) => !/[\0 ]$|\0/.test(text) && !/[\u{10000}-\u{10ffff}]/u.test(text));
    fc.assert(
      fc.property(name, (text) => {
        expect(names(`candidate=${quoted(text)}`).customers.candidate).toBe(text);
      }),
    );
  });
});

describe('the fields', () => {
  it('are columns, or columns with the name of a field', () => {
    expect(parseFields('page, created_at : since ,`a:b`', 'timestamp')).toEqual({
      value: [
        { column: 'page', isExact: false, field: 'page' },
        { column: 'created_at', isExact: false, field: 'since' },
        { column: 'a:b', isExact: true, field: 'a:b' },
      ],
    });
  });

  it.each([
    ['page,page', '"page" names the field "page" a second time'],
    ['page:x,device:x', '"device:x" names the field "x" a second time'],
    ['page:timestamp', 'the field timestamp is always there'],
    ['page:', 'the name of the field is empty'],
    [':x', 'the name is empty'],
    ['a:b:c', 'neither column nor column:fieldName'],
  ])('%s is refused', (raw, problem) => {
    expect(parseFields(raw, 'timestamp')).toEqual({
      problem: expect.stringContaining(problem) as string,
    });
  });

  it('are roles before they are names, and of an event the page view comes first', () => {
    const parsed = parseFields('plan_type,`plan_type`:old,candidate,note', 'timestamp');
    if ('problem' in parsed) throw new Error(parsed.problem);
    const model = { ...MODEL, event: parsed.value };
    const tables = found(['tier', 'plan_type', 'candidate'], ['visit', 'Note', 'Candidate']);
    const sources = fieldsIn(model, tables).event;
    expect(sources.map(({ field, table, column }) => `${field} ${table}.${column.name}`)).toEqual([
      'plan_type customers.tier',
      'old customers.plan_type',
      'candidate page_views.Candidate',
      'note page_views.Note',
    ]);
  });
});

describe('what is missing', () => {
  const GRANT = 'GRANT …';

  it('is nothing of the tables as they are in sql/', () => {
    expect(lackingTables(DEFAULT_MODEL, BY_ROLE, 'shop', GRANT)).toBeNull();
    expect(lackingColumns(DEFAULT_MODEL, BY_ROLE, GRANT)).toBeNull();
  });

  it('is named with its role and the setting', () => {
    expect(lackingTables(MODEL, { ...BY_ROLE, customers: null }, 'shop', GRANT)).toEqual({
      detail: 'no Clients (for customers) in shop, or not readable',
      fix: 'run setup-db, check DB_NAME and CUSTOMERS_TABLE, or run GRANT …',
    });
    const model = {
      ...MODEL,
      profile: [{ column: 'nick', isExact: false, field: 'nick' }],
      event: [
        { column: 'referrer', isExact: false, field: 'referrer' },
        { column: 'last_name', isExact: false, field: 'last_name' },
      ],
    };
    const lack = lackingColumns(model, found(['email'], ['visit']), GRANT);
    expect(lack?.detail).toBe(
      'missing: Clients.no (role id), Clients.last_name (role last_name, EVENT_FIELDS), Clients.tier (role plan_type), ' +
        'visits.visitor (role user_id), visits.page (role page), visits.device (role device), ' +
        'visits.browser (role browser), visits.location (role location), ' +
        'visits.event_time (role event_time), Clients.nick (PROFILE_FIELDS), ' +
        'referrer of visits or Clients (EVENT_FIELDS)',
    );
    expect(lack?.fix).toContain(
      'COLUMN_NAMES=customers.id=<name>,last_name=<name>,plan_type=<name>,user_id=<name>',
    );
    expect(lack?.fix).toContain('correct PROFILE_FIELDS and EVENT_FIELDS');
  });

  it('is no column that only other fields would have', () => {
    const model = { ...DEFAULT_MODEL, profile: [], event: [] };
    const tables = found(
      ['id', 'email', 'plan_type'],
      BY_ROLE.page_views?.map((c) => c.name) ?? [],
    );
    expect(lackingColumns(model, tables, GRANT)).toBeNull();
    expect(lackingColumns(DEFAULT_MODEL, tables, GRANT)?.detail).toBe(
      'missing: customers.first_name (role first_name, PROFILE_FIELDS), customers.last_name (role last_name, PROFILE_FIELDS), customers.candidate (role candidate, PROFILE_FIELDS, EVENT_FIELDS)',
    );
  });
});

describe('own names', () => {
  test('take the place of every role in the rule, whatever they are', () => {
    const strange = `c.id pv.page customers c :ids ? \` '$&`;
    const all = (table: 'customers' | 'page_views'): Record<string, string> =>
      Object.fromEntries(
        COLUMNS.filter((column) => column.table === table).map(({ role }) => [role, strange]),
      );
    const model: DataModel = {
      ...DEFAULT_MODEL,
      tables: { customers: strange, page_views: strange },
      columns: {
        customers: { ...DEFAULT_MODEL.columns.customers, ...all('customers') },
        page_views: { ...DEFAULT_MODEL.columns.page_views, ...all('page_views') },
      },
    };
    const byDefault = ruleSql(DEFAULT_MODEL, { profile: [], event: [] });
    const byStrange = ruleSql(model, { profile: [], event: [] });
    for (const part of ['among', 'look', 'inRange'] as const) {
      const here = byStrange[part].replaceAll(quoted(strange), 'X');
      const there = byDefault[part].replace(/`\w+`/g, 'X');
      expect(here).toBe(there);
      expect(positional(byStrange[part], {}).values).toHaveLength(
        positional(byDefault[part], {}).values.length,
      );
    }
  });

  test('are what statements of the log are known by, and the usual names are not', () => {
    const watched = { database: 'shop', model: MODEL, parents: [] };
    const read = (text: string) => readStatement(text, 'shop', watched);
    expect(read('TRUNCATE clients')).toEqual({ kind: 'truncate', table: 'Clients' });
    expect(read('UPDATE visits SET page = 1')).toEqual({ kind: 'rows-as-text', table: 'visits' });
    expect(read('RENAME TABLE old TO shop.visits').kind).toBe('ddl');
    expect(read('DROP TABLE customers').kind).toBe('other');
    const changed = (text: string) => read(text) as { mayChangeRows?: boolean };
    expect(changed('ALTER TABLE Clients MODIFY tier TEXT').mayChangeRows).toBe(true);
    expect(changed('ALTER TABLE Clients ADD plan_type TEXT').mayChangeRows).toBe(false);
    const profile = [{ column: 'Company', isExact: false, field: 'company' }];
    const withField = { ...watched, model: { ...MODEL, profile } };
    const field = readStatement('ALTER TABLE Clients MODIFY company TEXT', 'shop', withField);
    expect(field).toMatchObject({ kind: 'ddl', mayChangeRows: true });
  });

  test('are what the log names columns by', () => {
    const table = {
      table: 'page_views',
      name: 'visits',
      columns: MODEL.columns.page_views,
    } as const;
    const of = (...columns: string[]) => columns.map((name) => ({ name, type: 3 }));
    const rest = ['page', 'device', 'browser', 'location', 'event_time'];
    expect(planTable(table, of('VISITOR', 'id', ...rest, 'visit'))).toMatchObject({
      needed: [7, 0, 2, 3, 4, 5, 6],
      columns: { id: 'visit', userId: 'VISITOR' },
    });
    expect(planTable(table, of('visit', 'user_id', ...rest))).toEqual({
      missing: 'visitor',
      role: 'user_id',
    });
  });

  test.each([
    { op: 'c', source: { table: 'visits' }, after: { visit: 5, visitor: 7, page: 'pricing' } },
    { __table: 'visits', __op: 'c', visit: 5, visitor: 7, page: 'pricing' },
  ])('are what messages of Debezium have', (value) => {
    const read = (of: unknown) => readMessage({ value: JSON.stringify(of) }, 'debezium', MODEL);
    const cause = { kind: 'view', id: '5' };
    expect(read(value)).toMatchObject({ triggers: [{ userId: '7', cause, page: 'pricing' }] });
    const source = { table: 'clients' };
    expect(read({ op: 'u', source, after: { No: 7 }, before: { no: 8 } })).toMatchObject({
      triggers: [{ userId: '7' }, { userId: '8' }],
    });
    expect(read({ op: 'c', source: { table: 'page_views' }, after: {} }).kind).toBe('nothing');
    expect(readMessage({ value: '{"user_id":7,"cause":"ddl"}' }, 'page_view', MODEL).kind).toBe(
      'triggers',
    );
  });

  test('are what the statements for people have, quoted where they are not the usual ones', () => {
    expect(indexStatement(DEFAULT_MODEL)).toBe(
      'CREATE INDEX page_views_rule ON page_views (user_id, page, event_time)',
    );
    expect(indexStatement(MODEL)).toBe(
      'CREATE INDEX page_views_rule ON `visits` (`visitor`, page, event_time)',
    );
  });

  test('are what setup-db creates', () => {
    const sql = readFileSync(new URL('../../sql/database_setup.sql', import.meta.url), 'utf8');
    expect(setupText(sql, DEFAULT_MODEL)).toBe(sql);
    const own = setupText(sql, MODEL);
    expect(own).toContain('FOREIGN KEY (`visitor`) REFERENCES `Clients` (`no`)');
    expect(own).toContain('KEY page_views_rule (`visitor`, `page`, `event_time`)');
    expect(own).toContain('INSERT INTO `visits` (`visitor`, `page`, `device`');
    expect(own).not.toMatch(/`(customers|page_views|user_id|plan_type|id)`/);
  });
});

// The names stand in src/model/columns.ts, and by roles in sql/: nowhere else in a statement. The
// embedded topics have tables of their own.
test('no statement of the program has a name of ours by itself', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    (name) =>
      name.endsWith('.ts') &&
      name !== join('model', 'columns.ts') &&
      !name.startsWith(join('topics', 'embedded')),
  );
  const roles = [...new Set([...OUR_TABLES, ...COLUMNS.map(({ role }) => role)])].join('|');
  const name = new RegExp(
    String.raw`\b(?:FROM|JOIN|INTO|UPDATE|TABLE|TABLES?|ON|BY|SELECT|DISTINCT|WHERE|AND|MAX\(|\()\s*\x60?(?:${roles})\x60?(?=[\s,)=<>.;]|$)(?!\s*(?:c|pv)\b)`,
  );
  const found: string[] = [];
  for (const file of files) {
    const text = readFileSync(join('src', file), 'utf8').replace(/^\s*(?:\*|\/\/|\/\*).*$/gm, '');
    // Texts alone: in code the names are those of roles and of fields of messages.
    for (const [literal] of text.matchAll(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[^])*`/g)) {
      const isStatement =
        /\b(?:SELECT|INSERT|UPDATE|DELETE|DROP|ALTER|CREATE|RENAME|TRUNCATE)\b/.test(literal);
      if (isStatement && name.test(literal.replaceAll(/\$\{[^}]*\}/g, 'X')))
        found.push(`${file}: ${literal.slice(0, 120)}`);
    }
  }
  expect(found).toEqual([]);
  expect(ruleText()).toContain('FROM customers c');
});
