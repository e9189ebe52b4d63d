import type { DatabaseKind } from '../../../tools/services/services.ts';
import type { Dice } from './dice.ts';

/** Character sets, each with a text that it holds and ASCII does not. */
const CHARSETS: Record<string, string> = {
  utf8mb4: '😀 李 Zoë',
  utf8mb3: '李 Zoë',
  latin1: 'Zoë €',
  ascii: 'plain',
  cp1251: 'Привет',
  latin2: 'Łódź',
  latin5: 'İzmir',
  greek: 'Αθήνα',
  koi8r: 'Привет',
  cp1250: 'Łódź',
  hebrew: 'שלום',
  sjis: '東京',
  ujis: '東京',
  gbk: '北京',
  big5: '台北',
  euckr: '서울',
  ucs2: '東京',
  utf16: '😀 東京',
  utf32: '😀 東京',
  cp850: 'Zoë',
};
const COMMON = ['utf8mb4', 'utf8mb3', 'latin1', 'ascii'];

const COLLATIONS: Record<'mysql' | 'mariadb', readonly string[]> = {
  mysql: ['utf8mb4_0900_as_cs', 'utf8mb4_bin', 'utf8mb4_unicode_ci', 'utf8mb4_ja_0900_as_cs'],
  mariadb: [
    'utf8mb4_nopad_bin',
    'utf8mb4_general_nopad_ci',
    'utf8mb4_uca1400_ai_ci',
    'utf8mb4_uca1400_nopad_as_cs',
    'utf8mb4_bin',
    'latin1_swedish_nopad_ci',
  ],
};

export interface Charset {
  name: string;
  /** As DDL says it. */
  clause: string;
  /** Values that it can hold. */
  texts: readonly string[];
}

/** A character set, by itself or by one of its collations. */
export function drawCharset(dice: Dice, kind: DatabaseKind): Charset {
  const texts = (name: string): string[] => ['Ann', 'O\'Neil "x"', CHARSETS[name] ?? 'plain', ''];
  if (dice.chance(0.5)) {
    const collation = dice.of(COLLATIONS[kind === 'mysql' ? 'mysql' : 'mariadb']);
    const name = collation.split('_')[0] ?? '';
    return { name, clause: `CHARACTER SET ${name} COLLATE ${collation}`, texts: texts(name) };
  }
  const name = dice.chance(0.6) ? dice.of(COMMON) : dice.of(Object.keys(CHARSETS));
  return { name, clause: `CHARACTER SET ${name}`, texts: texts(name) };
}

/** A column that nobody reads: its definition after the name, and what it may hold, as SQL. */
export interface OtherColumn {
  name: string;
  definition: string;
  /** null: it is not written by an INSERT. */
  values: readonly string[] | null;
}

const JSONS = [
  "'null'",
  "'[]'",
  `'{"id": 1, "a": [1, {"b": null}], "deep": [[[[[]]]]]}'`,
  "JSON_OBJECT('text', REPEAT('x', 70000))",
];
const MYSQL_JSONS = [
  "JSON_OBJECT('blob', CAST(x'00FF' AS BINARY))",
  "JSON_OBJECT('bit', b'101')",
  "JSON_ARRAY(CAST('2020-02-29' AS DATE), CAST('12:00:00.5' AS TIME(3)), NOW(6), 1.50, 1e300)",
  "JSON_OBJECT('u', 18446744073709551615, 'i', -9223372036854775808)",
  "JSON_OBJECT('place', ST_GeomFromText('POINT(1 2)'))",
];

const OTHERS: readonly [string, readonly string[] | null][] = [
  ['BIT(1)', ['0', '1']],
  ['BIT(40)', ['0xFF00FF00FF']],
  ['TINYINT', ['-128']],
  ['MEDIUMINT UNSIGNED', ['16777215']],
  ['BIGINT UNSIGNED', ['18446744073709551615']],
  ['DECIMAL(65, 30)', ['-12345.00001']],
  ['FLOAT', ['0.1']],
  ['DOUBLE', ['-1e300']],
  ['YEAR', ['2155']],
  ['DATE', ["'2026-02-28'"]],
  ['TIME(6)', ["'-838:59:59'"]],
  ['DATETIME(6)', ["'9999-12-31 23:59:59.999999'"]],
  ['TIMESTAMP(3) NULL', ["'2026-03-29 12:30:00.123'"]],
  ['BINARY(7)', ["'ab'"]],
  ['VARBINARY(300)', ['REPEAT(0xC3, 260)']],
  ['TINYBLOB', ['0x00']],
  ['LONGBLOB', ['REPEAT(0x00FF27, 30000)']],
  ['MEDIUMTEXT CHARACTER SET utf8mb4', ["REPEAT('ü', 500)"]],
  ['CHAR(200) CHARACTER SET utf8mb4', ["'ä'"]],
  ["SET('a', 'b', 'c')", ["'a,c'"]],
  ["ENUM('größe', 'other') CHARACTER SET utf8mb4", ["'größe'"]],
  ['POINT', ["ST_GeomFromText('POINT(1 2)')"]],
  ['GEOMETRY', ["ST_GeomFromText('LINESTRING(1 2, 3 4)')"]],
  ["VARCHAR(20) GENERATED ALWAYS AS (CONCAT(5, 'e')) VIRTUAL", null],
  ['BIGINT GENERATED ALWAYS AS (7 + 5) STORED', null],
];
const MYSQL_OTHERS: typeof OTHERS = [
  ['JSON', [...JSONS, ...MYSQL_JSONS]],
  ['JSON', MYSQL_JSONS],
  ['INT INVISIBLE', ['5']],
  ['VECTOR(3)', ["TO_VECTOR('[1,2,3]')"]],
  ['GEOMETRY SRID 4326', ["ST_GeomFromText('POINT(1 2)', 4326)"]],
];
const MARIADB_OTHERS: typeof OTHERS = [
  ['JSON', JSONS],
  ['INT INVISIBLE', ['5']],
  ['INET6', ["'::1'"]],
  ['UUID', ["'123e4567-e89b-12d3-a456-426655440000'"]],
  ['VARCHAR(500) COMPRESSED', ["REPEAT('x', 400)"]],
  ['LONGBLOB COMPRESSED', ["REPEAT('x', 4000)"]],
];
const MARIADB11_OTHERS: typeof OTHERS = [
  ...MARIADB_OTHERS,
  ['VECTOR(3)', ["VEC_FromText('[1,2,3]')"]],
];

/** Columns beside ours; a partitioned table, or one that is not InnoDB's, can't have them all. */
export function drawOthers(
  dice: Dice,
  kind: DatabaseKind,
  countMax: number,
  { isPartitioned, engine }: { isPartitioned: boolean; engine: string },
): OtherColumn[] {
  const own = { mysql: MYSQL_OTHERS, mariadb: MARIADB_OTHERS, mariadb11: MARIADB11_OTHERS }[kind];
  const all = [...OTHERS, ...own].filter(
    ([definition]) =>
      !(isPartitioned && /^(POINT|GEOMETRY|VECTOR)/.test(definition)) &&
      !(engine !== 'InnoDB' && /SRID/.test(definition)),
  );
  return dice.some(all, countMax).map(([definition, values], i) => {
    dice.note(definition);
    const nulls = values === null ? null : [...values, 'NULL'];
    return { name: `other_${i}`, definition, values: nulls };
  });
}
