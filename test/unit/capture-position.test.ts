import fc from 'fast-check';
import { GtidSet } from '@vlasky/zongji';
import { describe, expect, test } from 'vitest';
import { type Checkpoint, checkpointText, parseCheckpoint } from '../../src/capture/checkpoint.ts';
import { parseGtid } from '../../src/source/mysql/gtid.ts';
import {
  type LogPosition,
  PositionTracker,
  type ServerPosition,
  parsePosition,
  positionText,
  sourcePosition,
} from '../../src/source/mysql/position.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

type Step = { kind: 'end' } | { kind: 'prepare' } | { kind: 'decide'; which: number };

const step = fc.oneof(
  fc.constant<Step>({ kind: 'end' }),
  fc.constant<Step>({ kind: 'prepare' }),
  fc.nat(5).map((which): Step => ({ kind: 'decide', which })),
);

/** Runs the steps as transactions 1, 2, 3 …; says after each which of them are done. */
function run(
  tracker: PositionTracker,
  steps: readonly Step[],
  gtidOf: (n: number) => string | null,
  look: (undone: ReadonlySet<number>, last: number) => void,
): void {
  const prepared: number[] = [];
  for (const [index, now] of steps.entries()) {
    const n = index + 1;
    const text = gtidOf(n);
    const end = {
      gtid: text === null ? null : parseGtid(text),
      file: 'log.000001',
      position: n * 100,
    };
    if (now.kind === 'prepare') {
      tracker.prepare(`x${n}`, end);
      prepared.push(n);
    } else if (now.kind === 'decide' && prepared.length > 0) {
      const [n_] = prepared.splice(now.which % prepared.length, 1);
      tracker.decide(`x${n_}`, end);
    } else {
      tracker.end(end);
    }
    look(new Set(prepared), n);
  }
}

describe('the position to resume from', () => {
  test('by MySQL GTIDs holds all that is done, and leaves out just the undecided XA transactions', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const tracker = new PositionTracker('mysql', { gtidSet: '' });
        run(
          tracker,
          steps,
          (n) => `${UUID}:${n}`,
          (undone, last) => {
            const position = tracker.current() as { gtidSet: string };
            const set = GtidSet.parse(position.gtidSet);
            for (let n = 1; n <= last; n += 1) {
              expect(set.contains(`${UUID}:${n}`)).toBe(!undone.has(n));
            }
          },
        );
      }),
    );
  });

  test.each([
    ['file and position', 'mysql', { file: 'log.000001', position: 4 }],
    ['MariaDB GTIDs', 'mariadb', { gtidSet: '' }],
  ] as const)('by %s is never past an undecided XA transaction', (_, flavour, start) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const tracker = new PositionTracker(flavour, start);
        run(
          tracker,
          steps,
          (n) => (flavour === 'mariadb' ? `0-1-${n}` : null),
          (undone, last) => {
            const position = tracker.current() as { gtidSet?: string; position?: number };
            const reached =
              position.gtidSet === undefined
                ? Math.floor((position.position ?? 0) / 100)
                : Number(position.gtidSet.split('-')[2] ?? 0);
            const isRight = undone.size === 0 ? reached === last : reached < Math.min(...undone);
            expect(isRight).toBe(true);
          },
        );
      }),
    );
  });

  test('keeps what it began with, and the other domains and servers', () => {
    const mysql = new PositionTracker('mysql', { gtidSet: `${UUID}:1-5` });
    mysql.end({ gtid: parseGtid(`${UUID}:6`), file: 'f', position: 1 });
    mysql.end({ gtid: parseGtid(`${UUID}:tagged:1`), file: 'f', position: 1 });
    expect(mysql.current()).toEqual({ gtidSet: `${UUID}:1-6:tagged:1` });
    const mariadb = new PositionTracker('mariadb', { gtidSet: '0-1-5,3-7-9' });
    mariadb.end({ gtid: parseGtid('0-2-18446744073709551615'), file: 'f', position: 1 });
    expect(mariadb.current()).toEqual({ gtidSet: '0-2-18446744073709551615,3-7-9' });
  });
});

describe('a checkpoint', () => {
  const common = { flavour: 'mysql', serverUuid: 'u', at: '2026-01-01T00:00:00.000Z' } as const;

  test.each([
    { ...common, gtidSet: `${UUID}:1-5` },
    { ...common, gtidSet: '', lost: 'why' },
    { ...common, file: 'binlog.000002', position: 157 },
    { ...common, file: 'binlog.000002', position: 157, everyone: 'why' },
  ])('is read as it was written: %j', (checkpoint) => {
    const { position, pending } = parseCheckpoint(JSON.stringify(checkpoint)) as Checkpoint;
    const inLog = parsePosition(position) as ServerPosition;
    expect(pending?.isAnew ?? null).toBe(
      'lost' in checkpoint ? true : 'everyone' in checkpoint ? false : null,
    );
    const saved = checkpointText(sourcePosition(inLog, inLog), pending, Date.parse(common.at));
    expect(JSON.parse(saved)).toEqual(checkpoint);
  });

  // Guards the order in parseCheckpoint: such a position cannot be gone on from.
  test('that owes a look and begins anew begins anew', () => {
    const text = JSON.stringify({ ...common, gtidSet: '', lost: 'why', everyone: 'a RENAME' });
    expect(parseCheckpoint(text)?.pending).toEqual({ because: 'why', isAnew: true });
  });

  test('that is none is told apart, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(parseCheckpoint(text)).toBeNull();
      }),
    );
    expect(parsePosition({ ...common, file: 'f' })).toBeNull();
  });

  test('is shown to people as a GTID set or file:position', () => {
    const shown: [LogPosition, string][] = [
      [{ gtidSet: '0-1-2' }, '0-1-2'],
      [{ gtidSet: '' }, 'the empty GTID set'],
      [{ file: 'f.1', position: 4 }, 'f.1:4'],
    ];
    for (const [position, text] of shown) expect(positionText(position)).toBe(text);
  });
});
