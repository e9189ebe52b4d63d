import type { DatabaseKind } from '../../../tools/services/services.ts';
import { type Charset, type OtherColumn, drawCharset, drawOthers } from './columns.ts';
import type { Dice } from './dice.ts';

/** A text column of ours. */
interface TextColumn {
  definition: string;
  texts: readonly string[];
}

/** The tables of one case: what makes them, and what their columns can hold. */
export interface OddTables {
  /** Statements, in order. */
  setUp: string[];
  /** Of customers, added to 1, 2, 3 …; as text, since it may be above 2^53. */
  firstCustomer: bigint;
  texts: Record<
    'first_name' | 'last_name' | 'candidate' | 'browser' | 'location',
    readonly string[]
  >;
  others: Record<'customers' | 'page_views', OtherColumn[]>;
  /** Whether `accounts` is there, whose rows cascade into customers and page_views. */
  hasAccounts: boolean;
  /** Whether deleting a customer deletes their views, and a changed id changes theirs. */
  cascades: boolean;
  /** Whether rows are visible before their transaction commits. */
  isTransactional: boolean;
}

const ID_TYPES: readonly [string, bigint][] = [
  ['INT', 1_000n],
  ['INT UNSIGNED', 4_000_000_000n],
  ['BIGINT', 3_000_000_000n],
  ['BIGINT', 9_007_199_254_740_990n],
  ['BIGINT UNSIGNED', 18_446_744_073_709_550_000n],
  ['BIGINT', 2n ** 63n - 10_000n],
  ['MEDIUMINT UNSIGNED', 16_000_000n],
  ['SMALLINT', 20_000n],
];
const PLANS = "'free', 'basic', 'pro', 'enterprise'";
const PAGES = "'pricing', 'settings', 'features', 'home', 'blog'";
const TIMES = ['DATETIME', 'TIMESTAMP(6)', 'DATETIME(3)', 'TIMESTAMP(1)'];

function drawText(dice: Dice, kind: DatabaseKind, database: Charset, length: number): TextColumn {
  const type = dice.oddly(0.3, 'text', `VARCHAR(${length})`, [`CHAR(${length})`, 'TEXT']);
  if (dice.chance(0.6)) return { definition: type, texts: database.texts };
  const charset = drawCharset(dice, kind);
  dice.note(charset.clause);
  return { definition: `${type} ${charset.clause}`, texts: charset.texts };
}

/** One of a few words, whatever it is kept in. */
function drawWords(dice: Dice, words: string): string {
  return dice.oddly(0.4, 'words', `ENUM(${words})`, [
    'VARCHAR(40) CHARACTER SET ascii',
    'CHAR(20) CHARACTER SET latin1',
    'VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
  ]);
}

const columnList = (columns: readonly (readonly [string, string])[]): string =>
  columns.map(([name, definition]) => `${name} ${definition}`).join(',\n  ');

interface Shape {
  idType: string;
  viewIdType: string;
  firstView: bigint;
  engine: string;
  isPartitioned: boolean;
  foreignKey: string | null;
  hasAccounts: boolean;
}

function drawShape(dice: Dice, kind: DatabaseKind): Shape & { firstCustomer: bigint } {
  const [idType, firstCustomer] = dice.of(ID_TYPES);
  const [viewIdType, firstView] = dice.of(ID_TYPES);
  dice.note(`ids ${idType} ${firstCustomer}, ${viewIdType} ${firstView}`);
  const engines = kind === 'mysql' ? ['MyISAM'] : ['MyISAM', 'Aria'];
  const engine = dice.oddly(0.1, 'engine', 'InnoDB', engines);
  const isPartitioned = engine === 'InnoDB' && dice.chance(0.1);
  if (isPartitioned) dice.note('partitioned');
  const mayRefer = engine === 'InnoDB' && !isPartitioned;
  const foreignKey = mayRefer
    ? dice.oddly<string | null>(0.6, 'foreign key', null, [
        '',
        'ON DELETE CASCADE',
        'ON DELETE CASCADE ON UPDATE CASCADE',
      ])
    : null;
  const hasAccounts = mayRefer && dice.chance(0.15);
  if (hasAccounts) dice.note('accounts cascade');
  const shape = { idType, firstCustomer, viewIdType, firstView, engine, isPartitioned };
  return { ...shape, foreignKey, hasAccounts };
}

export function drawTables(dice: Dice, kind: DatabaseKind, database: Charset): OddTables {
  const shape = drawShape(dice, kind);
  const text = (length: number): TextColumn => drawText(dice, kind, database, length);
  const names = { first_name: text(60), last_name: text(60), candidate: text(80) };
  const places = { browser: text(60), location: text(90) };
  const others = {
    customers: drawOthers(dice, kind, 3, shape),
    page_views: drawOthers(dice, kind, 5, shape),
  };
  const upper = dice.oddly(0.1, 'names', 'lower', ['UPPER']) === 'UPPER';
  const spell = (name: string): string => (upper ? name.toUpperCase() : name);
  const options = `ENGINE = ${shape.engine} ${dice.oddly(0.1, 'rows', '', rowOptions(kind, shape.engine))}`;
  const account = shape.hasAccounts ? [['account_id', 'INT NULL'] as const] : [];
  const customers = dice.shuffled([
    [spell('id'), `${shape.idType} NOT NULL PRIMARY KEY`],
    [
      spell('email'),
      `${dice.of(['VARCHAR(190)', 'CHAR(100) CHARACTER SET ascii'])} NOT NULL UNIQUE`,
    ],
    ...Object.entries(names).map(([name, { definition }]) => [spell(name), definition] as const),
    [spell('plan_type'), drawWords(dice, PLANS)],
    ...others.customers.map(({ name, definition }) => [name, definition] as const),
    ...account,
  ] as const);
  const key = shape.isPartitioned ? 'PRIMARY KEY (id, user_id)' : viewKey(dice);
  const pageViews = dice.shuffled([
    [spell('id'), `${shape.viewIdType} NOT NULL AUTO_INCREMENT`],
    [spell('user_id'), `${shape.idType} NOT NULL`],
    [spell('page'), drawWords(dice, PAGES)],
    [spell('device'), dice.of(["ENUM('mobile', 'desktop')", 'VARCHAR(20)', 'CHAR(10)'])],
    ...Object.entries(places).map(([name, { definition }]) => [spell(name), definition] as const),
    [spell('event_time'), `${dice.oddly(0.5, 'event_time', 'TIMESTAMP', TIMES)} NULL DEFAULT NULL`],
    ...others.page_views.map(({ name, definition }) => [name, definition] as const),
    ...account,
  ] as const);
  const tails = [key, ...(dice.chance(0.8) ? ['KEY rule_key (user_id, page, event_time)'] : [])];
  if (shape.foreignKey !== null) {
    tails.push(`FOREIGN KEY (user_id) REFERENCES customers (id) ${shape.foreignKey}`);
  }
  if (shape.hasAccounts) {
    tails.push('FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE');
  }
  const partitions = shape.isPartitioned ? ' PARTITION BY KEY (user_id) PARTITIONS 3' : '';
  const ofCustomer = shape.hasAccounts
    ? `, FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE ${dice.of(['CASCADE', 'SET NULL'])}`
    : '';
  return {
    setUp: [
      ...(shape.hasAccounts ? ['CREATE TABLE accounts (id INT PRIMARY KEY) ENGINE = InnoDB'] : []),
      `CREATE TABLE customers (\n  ${columnList(customers)}${ofCustomer}) ${options}`,
      `CREATE TABLE page_views (\n  ${columnList(pageViews)},\n  ${tails.join(', ')}) ${options} AUTO_INCREMENT = ${shape.firstView}${partitions}`,
    ],
    firstCustomer: shape.firstCustomer,
    texts: {
      first_name: names.first_name.texts,
      last_name: names.last_name.texts,
      candidate: names.candidate.texts,
      browser: places.browser.texts,
      location: places.location.texts,
    },
    others,
    hasAccounts: shape.hasAccounts,
    cascades: shape.foreignKey?.includes('CASCADE') ?? false,
    isTransactional: shape.engine === 'InnoDB',
  };
}

const viewKey = (dice: Dice): string =>
  dice.oddly(0.15, 'key', 'PRIMARY KEY (id)', [
    'KEY (id)',
    'UNIQUE (id)',
    'PRIMARY KEY (user_id, id), KEY (id)',
  ]);

function rowOptions(kind: DatabaseKind, engine: string): string[] {
  if (engine !== 'InnoDB') return [];
  const formats = ['ROW_FORMAT = REDUNDANT', 'ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 8'];
  return kind === 'mysql' ? formats : [...formats, 'WITH SYSTEM VERSIONING', 'PAGE_COMPRESSED = 1'];
}
