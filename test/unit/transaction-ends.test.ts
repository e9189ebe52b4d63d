import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TransactionEnd } from '../../src/source/mysql/dump/events.ts';
import { type Gtid, gtidText, parseGtid } from '../../src/source/mysql/gtid.ts';
import { type LogPosition, PositionTracker } from '../../src/source/mysql/position.ts';
import { Stamp, ViewHeaders } from '../../src/source/mysql/transactions/stamp.ts';
import { TransactionEnds } from '../../src/source/mysql/transactions/transaction-ends.ts';
import { encodeHeaders } from '../../src/topics/batch/headers.ts';

const MYSQL = ['3e11fa47-71ca-11e1-9e33-c80aa9429562:', '3e11fa47-71ca-11e1-9e33-c80aa9429563:'];
const TAGGED = '3e11fa47-71ca-11e1-9e33-c80aa9429562:a_tag_of_thirty_two_characters_1:';
const MARIADB = ['0-1-', '0-2-', '7-1-'];
const EDGE = 2n ** 53n;

/** Transactions that follow one another, or leave a gap, or have no GTID. */
function endsOf(sources: readonly string[]): fc.Arbitrary<TransactionEnd[]> {
  const step = fc.constantFrom(1n, 1n, 1n, 2n);
  return fc
    .tuple(
      fc.constantFrom(0n, 8n, EDGE - 4n),
      fc.array(fc.tuple(fc.constantFrom(...sources), step, fc.nat(8)), { maxLength: 30 }),
    )
    .map(([from, steps]) => {
      let number = from;
      return steps.map(([source, by, kind], at) => {
        number += by;
        const gtid = kind === 0 ? null : parseGtid(`${source}${number}`);
        return { gtid, file: `log.${at >> 3}`, position: at };
      });
    });
}

describe('the ends of transactions, kept as one where they follow one another', () => {
  const starts: [string, 'mysql' | 'mariadb', LogPosition, readonly string[]][] = [
    ['MySQL GTIDs', 'mysql', { gtidSet: `${MYSQL[0]}1-3` }, [...MYSQL, TAGGED]],
    ['MySQL GTIDs of one source', 'mysql', { gtidSet: '' }, [MYSQL[0] ?? '']],
    ['MariaDB GTIDs', 'mariadb', { gtidSet: '0-1-5' }, MARIADB],
    ['file and position', 'mysql', { file: 'log.0', position: 4 }, MYSQL],
  ];

  test.each(starts)('come to the same position, by %s', (_, flavour, start, sources) => {
    fc.assert(
      fc.property(endsOf(sources), (ends) => {
        const [each, together] = [start, start].map((at) => new PositionTracker(flavour, at));
        const runs: TransactionEnds[] = [];
        for (const end of ends) {
          each?.end(end);
          if (runs.at(-1)?.takeIn(end) !== true) runs.push(new TransactionEnds(end));
        }
        for (const run of runs) together?.end(run);
        expect(together?.current()).toEqual(each?.current());
      }),
    );
  });

  test('are one where each is the next of its source', () => {
    const end = (number: number) => ({ gtid: { source: 's:', number }, file: 'f', position: 1 });
    const run = new TransactionEnds(end(1));
    for (let number = 2; number < 100; number += 1) expect(run.takeIn(end(number))).toBe(true);
    expect(run.takeIn(end(101))).toBe(false);
    expect(run).toMatchObject({ first: 1, gtid: { number: 99 } });
  });
});

describe('the headers of page views', () => {
  test('are encoded as each transaction has them', () => {
    const gtid = fc.option(
      fc.tuple(
        fc.constantFrom(...MYSQL, TAGGED, ...MARIADB),
        fc.bigInt({ min: 0n, max: EDGE + 9n }),
      ),
    );
    fc.assert(
      fc.property(fc.array(gtid), (all) => {
        const headers = new ViewHeaders();
        for (const one of all) {
          const begin = one === null ? null : parseGtid(one.join(''));
          const stamp = new Stamp({ gtid: begin, file: 'log.1', position: 4 }, 'server', 1);
          for (let again = 0; again < 2; again += 1) {
            expect(Buffer.from(headers.of(stamp))).toEqual(encodeHeaders(stamp.pageViewHeaders));
          }
        }
      }),
    );
  });
});

describe('a GTID', () => {
  test('is the same text after it was read', () => {
    for (const source of [...MYSQL, TAGGED, ...MARIADB]) {
      for (const number of [0n, 9n, EDGE - 1n, EDGE, 2n ** 64n - 1n]) {
        const gtid: Gtid = parseGtid(`${source}${number}`);
        expect(gtidText(gtid)).toBe(`${source}${number}`);
        expect(BigInt(gtid.number)).toBe(number);
      }
    }
    expect(() => parseGtid('none:')).toThrow(SyntaxError);
  });
});
