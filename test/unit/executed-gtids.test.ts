import { GtidSet, MariadbGtidPosition } from '@vlasky/zongji';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ExecutedGtids,
  MariadbGtids,
  MysqlGtids,
} from '../../src/source/mysql/executed-gtids.ts';
import { parseGtid } from '../../src/source/mysql/gtid.ts';

const SOURCES = [
  '3e11fa47-71ca-11e1-9e33-c80aa9429562',
  '3e11fa47-71ca-11e1-9e33-c80aa9429563',
  '3e11fa47-71ca-11e1-9e33-c80aa9429562:tag',
];
const number = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 30 }).map(BigInt), weight: 6 },
  fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
  fc.constant(2n ** 63n - 1n),
);
/** Runs of transactions: some follow one another, some leave gaps, some come again. */
const gtids = fc
  .array(fc.tuple(fc.constantFrom(...SOURCES), number, fc.integer({ min: 1, max: 5 })), {
    maxLength: 12,
  })
  .map((runs) =>
    runs.flatMap(([source, first, length]) =>
      Array.from({ length }, (_, i) => first + BigInt(i))
        .filter((one) => one < 2n ** 63n)
        .map((one) => `${source}:${one}`),
    ),
  );

function add(executed: ExecutedGtids, text: string): void {
  const gtid = parseGtid(text);
  executed.add(gtid, gtid.number);
}

describe('what was executed', () => {
  test('of MySQL is the set of all that was added, whenever it is asked for', () => {
    fc.assert(
      fc.property(gtids, gtids, fc.nat(5), (before, after, every) => {
        const plain = new GtidSet();
        for (const gtid of before) plain.add(gtid);
        const executed = new MysqlGtids(plain.toString());
        for (const [i, gtid] of after.entries()) {
          plain.add(gtid);
          add(executed, gtid);
          if (every > 0 && i % every === 0) expect(executed.toString()).toBe(plain.toString());
        }
        expect(executed.toString()).toBe(plain.toString());
      }),
      { numRuns: 300 },
    );
  });

  // Guards RUNS_MAX: every second number is a run of its own.
  test('of MySQL is bounded where nothing follows anything', () => {
    const executed = new MysqlGtids('');
    const plain = new GtidSet();
    for (let n = 1; n < 4_500; n += 2) add(executed, `${SOURCES[0]}:${n}`);
    for (let n = 1; n < 4_500; n += 2) plain.add(`${SOURCES[0]}:${n}`);
    expect(executed.toString()).toBe(plain.toString());
  });

  test('of MariaDB is the newest of each domain', () => {
    const gtid = fc
      .tuple(
        fc.constantFrom(0, 1, 10, 11),
        fc.constantFrom(1, 2),
        fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
      )
      .map(([domainId, serverId, seqNo]) => ({ domainId, serverId, seqNo: String(seqNo) }));
    fc.assert(
      fc.property(fc.array(gtid), (all) => {
        const plain = MariadbGtidPosition.parse('10-1-5');
        const executed = new MariadbGtids('10-1-5');
        for (const one of all) {
          plain.add(one);
          add(executed, `${one.domainId}-${one.serverId}-${one.seqNo}`);
        }
        expect(executed.toString()).toBe(plain.toString());
      }),
    );
  });
});
