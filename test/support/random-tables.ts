import fc from 'fast-check';

const INTEGERS = ['TINYINT', 'SMALLINT', 'MEDIUMINT', 'INT', 'BIGINT'];
const BITS = [8, 16, 24, 32, 64];
/** By character set, a text that it holds. */
const TEXTS: Readonly<Record<string, string>> = {
  utf8mb4: 'Zoë 東京 🚀',
  utf8mb3: 'Zoë 東京 \u2028',
  latin1: 'Zoë €',
  cp1251: 'Привет',
  koi8r: 'Привет',
  sjis: '東京ｶﾅ',
  gbk: '北京',
  euckr: '서울',
  utf16: '🚀 ü',
  ucs2: '東京',
  binary: 'Zoë 🚀',
};

interface Tried {
  definition: string;
  /** As SQL. */
  value: fc.Arbitrary<string>;
}
const hex = (text: string): string => `X'${Buffer.from(text).toString('hex')}'`;

/** Values at both ends of what an integer's bits hold, and between them. */
const integer = (name: string): fc.Arbitrary<Tried> =>
  fc.record({ at: fc.nat({ max: 4 }), isUnsigned: fc.boolean() }).map(({ at, isUnsigned }) => {
    const bits = BigInt(BITS[at] ?? 8);
    const [min, max] = isUnsigned
      ? [0n, 2n ** bits - 1n]
      : [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
    return {
      definition: `${name} ${INTEGERS[at]}${isUnsigned ? ' UNSIGNED' : ''} NULL`,
      value: fc.bigInt({ min, max }).map(String),
    };
  });

const text = (name: string): fc.Arbitrary<Tried> =>
  fc
    .record({
      charset: fc.constantFrom(...Object.keys(TEXTS)),
      form: fc.constantFrom(
        'VARCHAR(60)',
        'VARCHAR(900)',
        'CHAR(60)',
        'TEXT(200)',
        'MEDIUMTEXT',
        'LONGTEXT',
      ),
      isEnum: fc.boolean(),
    })
    .map(({ charset, form, isEnum }) => {
      const texts = ['pricing', '', 'a"b\\c\n\t\u0001', ' x', TEXTS[charset] ?? ''];
      const kept = charset === 'binary' ? '' : `CHARACTER SET ${charset}`;
      const binary: Readonly<Record<string, string>> = {
        'VARCHAR(60)': 'VARBINARY(60)',
        'CHAR(60)': 'BINARY(60)',
      };
      const type = charset === 'binary' ? (binary[form] ?? 'LONGBLOB') : form;
      const isFit = isEnum && charset !== 'binary';
      const values = isFit ? ['pricing', TEXTS[charset] ?? ''] : texts;
      const introducer = charset === 'binary' ? '' : '_utf8mb4 ';
      const list = values.map((one) => `'${one}'`).join();
      return {
        definition: `${name} ${isFit ? `ENUM(${list})` : type} ${kept}`,
        value: fc.constantFrom(...values).map((one) => introducer + hex(one)),
      };
    });

const time = (name: string): fc.Arbitrary<Tried> =>
  fc
    .record({ type: fc.constantFrom('TIMESTAMP', 'DATETIME'), digits: fc.nat({ max: 6 }) })
    .map(({ type, digits }) => ({
      definition: `${name} ${type}(${digits}) NULL`,
      value: fc
        .date({ min: new Date('1971-01-01'), max: new Date('2037-12-31'), noInvalidDate: true })
        .map(
          (date) =>
            `'${date
              .toISOString()
              .slice(0, 10 + 9)
              .replace('T', ' ')}'`,
        ),
    }));

/** Definitions of columns in any order, and rows as assignments; ids count up. */
export const RANDOM_TABLE = fc
  .tuple(
    integer('user_id'),
    text('page'),
    text('device'),
    text('browser'),
    text('location'),
    time('event_time'),
  )
  .chain((tried) =>
    fc.record({
      columns: fc.shuffledSubarray(
        [
          'id BIGINT UNSIGNED PRIMARY KEY',
          'other JSON',
          ...tried.map(({ definition }) => definition),
        ],
        { minLength: 8, maxLength: 8 },
      ),
      rows: fc
        .array(
          fc.tuple(
            ...tried.map(({ definition, value }) =>
              fc
                .option(value, { nil: 'NULL', freq: 5 })
                .map((one) => `${definition.split(' ', 1)[0]} = ${one}`),
            ),
          ),
          { minLength: 2, maxLength: 5 },
        )
        .map((rows) =>
          rows.map((row, n) => [`id = ${n % 2 === 0 ? n : `1844674407370955160${n}`}`, ...row]),
        )
        .map((rows) => rows.toSorted(([a = ''], [b = '']) => a.length - b.length)),
    }),
  );
