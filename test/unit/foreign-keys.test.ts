import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import {
  type ForeignKey,
  findCascades,
  parseForeignKeys,
} from '../../src/source/mysql/checks/foreign-keys.ts';
import { ParentWatch } from '../../src/source/mysql/dump/parent-watch.ts';

type Keys = Readonly<Record<string, readonly Partial<ForeignKey>[]>>;

const key = (more: Partial<ForeignKey>): ForeignKey => ({
  columns: ['x'],
  parent: { schema: 'shop', name: 'none' },
  parentColumns: ['id'],
  onDelete: 'none',
  onUpdate: 'none',
  ...more,
});

const cascades = (keys: Keys) =>
  findCascades('shop', DEFAULT_MODEL, ({ name }) => Promise.resolve((keys[name] ?? []).map(key)));

const to = (name: string) => ({ parent: { schema: 'shop', name } });

describe('foreign keys', () => {
  test('are read of what SHOW CREATE TABLE says', () => {
    const text = `CREATE TABLE \`customers\` (
      \`id\` int NOT NULL COMMENT 'it''s FOREIGN KEY (\`a\`) REFERENCES \`b\` (\`c\`)',
      KEY \`k\` (\`a\`),
      CONSTRAINT \`one\` FOREIGN KEY (\`A\`, \`b\`) REFERENCES \`o\`\`ther\`.\`x y\` (\`c\`, \`d\`) ON DELETE SET NULL ON UPDATE CASCADE,
      CONSTRAINT \`two\` FOREIGN KEY (\`c\`) REFERENCES \`z\` (\`id\`) ON DELETE NO ACTION ON UPDATE SET DEFAULT,
      CONSTRAINT \`three\` FOREIGN KEY (\`d\`) REFERENCES \`z\` (\`id\`)
    ) ENGINE=InnoDB`;
    expect(parseForeignKeys(text, 'shop')).toEqual([
      {
        columns: ['a', 'b'],
        parent: { schema: 'o`ther', name: 'x y' },
        parentColumns: ['c', 'd'],
        onDelete: 'SET NULL',
        onUpdate: 'CASCADE',
      },
      key({ columns: ['c'], ...to('z'), onUpdate: 'SET DEFAULT' }),
      key({ columns: ['d'], ...to('z') }),
    ]);
  });

  test('matter where a deletion or a key that changes reaches a column that matters', async () => {
    const found = await cascades({
      customers: [
        { ...to('companies'), onDelete: 'CASCADE', onUpdate: 'CASCADE' },
        { ...to('tags'), onDelete: 'SET NULL', onUpdate: 'CASCADE' },
        { columns: ['plan_type'], ...to('plans'), onDelete: 'SET NULL', onUpdate: 'CASCADE' },
        { columns: ['email'], ...to('mails') },
      ],
      companies: [{ ...to('groups'), onDelete: 'CASCADE' }],
      plans: [{ columns: ['id'], ...to('prices'), onUpdate: 'CASCADE', onDelete: 'SET NULL' }],
      groups: [{ ...to('groups'), onDelete: 'CASCADE' }],
    });
    const text = found.parents.map(
      ({ name, onDelete, onUpdate }) => `${name} ${Number(onDelete)}${Number(onUpdate)}`,
    );
    expect(text).toEqual(['companies 10', 'plans 11', 'groups 10', 'prices 11']);
  });

  test("do not matter where they delete a deleted customer's own views", async () => {
    const own = { columns: ['user_id'], ...to('customers'), onDelete: 'CASCADE' } as const;
    expect((await cascades({ page_views: [own] })).parents).toEqual([]);
    const referrer = { ...own, columns: ['referrer'] };
    const itself = { columns: ['before'], ...to('page_views'), onDelete: 'CASCADE' } as const;
    const found = await cascades({ page_views: [own, referrer, itself] });
    expect(found.parents.map(({ name }) => name)).toEqual(['customers', 'page_views']);
  });

  test('matter where they change a column that is in a field', async () => {
    const keys = [
      key({ columns: ['company'], ...to('companies'), onUpdate: 'CASCADE' }),
      key({ columns: ['other'], ...to('others'), onUpdate: 'CASCADE' }),
    ];
    const profile = [{ column: 'Company', isExact: false, field: 'company' }];
    const model = {
      ...DEFAULT_MODEL,
      tables: { ...DEFAULT_MODEL.tables, customers: 'clients' },
      profile,
    };
    const found = await findCascades('shop', model, ({ name }) =>
      Promise.resolve(name === 'clients' ? keys : []),
    );
    expect(found.parents.map(({ name }) => name)).toEqual(['companies']);
  });

  test('that may not be read are said, and circles come to an end', async () => {
    const circle = { onDelete: 'CASCADE', onUpdate: 'CASCADE', columns: ['id'] } as const;
    const keys: Keys = {
      customers: [{ ...circle, ...to('a') }],
      a: [{ ...circle, ...to('b') }],
      b: [
        { ...circle, ...to('a') },
        { ...circle, ...to('hidden') },
      ],
    };
    const found = await findCascades('shop', DEFAULT_MODEL, ({ name }) =>
      Promise.resolve(name === 'hidden' ? null : (keys[name] ?? []).map(key)),
    );
    expect(found.parents.map(({ name }) => name)).toEqual(['a', 'b', 'hidden']);
    expect(found.unseen).toEqual([{ schema: 'shop', name: 'hidden' }]);
  });
});

describe('a change of a table that cascades', () => {
  const packet = (type: number, body: readonly number[]): Buffer => {
    const bytes = Buffer.alloc(20 + body.length + 8);
    bytes[5] = type;
    Buffer.from(body).copy(bytes, 20);
    return bytes;
  };
  const named = (id: number, schema: string, name: string): Buffer => {
    const text = (value: string) => [value.length, ...Buffer.from(value), 0];
    return packet(19, [id, 0, 0, 0, 0, 0, 0, 0, ...text(schema), ...text(name)]);
  };
  const rows = (type: number, id: number, flags = 1): Buffer =>
    packet(type, [id, 0, 0, 0, 0, 0, flags, 0]);
  const seen = (watch: ParentWatch, ...packets: Buffer[]): (string | undefined)[] =>
    packets.map((one) => watch.changedBy(one, 0, one.length)?.name);

  test('is found by name, where its kind cascades, and only in rows that cascade unseen', () => {
    const watch = new ParentWatch();
    watch.watch([{ schema: 'crm', name: 'firms', onDelete: true, onUpdate: false }]);
    expect(seen(watch, named(7, 'CRM', 'Firms'), rows(32, 7), rows(31, 7), rows(30, 7))).toEqual([
      undefined,
      'firms',
      undefined,
      undefined,
    ]);
    expect(seen(watch, rows(32, 7, 3), rows(32, 7, 17), rows(32, 8))).toEqual(Array(3));
    expect(seen(watch, named(7, 'crm', 'other'), rows(32, 7))).toEqual(Array(2));
  });

  test('is looked for in any packet without harm', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const watch = new ParentWatch();
        watch.watch([{ schema: 'a', name: 'b', onDelete: true, onUpdate: true }]);
        expect(watch.changedBy(Buffer.from(bytes), 0, bytes.length)).toBeNull();
      }),
    );
  });
});
