import { describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../src/capture/checkpoint.ts';
import { type StartDecision, decideStart } from '../../src/capture/start.ts';
import {
  type ServerPosition,
  parsePosition,
  sourcePosition,
} from '../../src/source/mysql/position.ts';
import { type PositionFacts, decideResume, isPositionGone } from '../../src/source/mysql/start.ts';

describe('where a capture begins', () => {
  const at = (position: ServerPosition, pending: Checkpoint['pending'] = null): Checkpoint => ({
    position,
    pending,
  });
  const byGtid = at({ flavour: 'mysql', serverUuid: 'a', gtidSet: 'x:1-5' });
  const byFile = at({ flavour: 'mysql', serverUuid: 'a', file: 'b.2', position: 500 });
  const source = { flavour: 'mysql', serverUuid: 'a', hasGtids: true } as const;
  const good: PositionFacts = {
    source,
    isStillThere: true,
    isOfThisServer: true,
    logFiles: [
      { name: 'b.2', bytes: 500 },
      { name: 'b.3', bytes: 10 },
    ],
  };

  /** As the source and capture decide it together. */
  const decide = (checkpoint: Checkpoint, facts: PositionFacts): StartDecision => {
    const position = parsePosition(checkpoint.position);
    if (position === null) throw new Error('it is no position');
    const decision = decideResume(position, facts);
    const resumption =
      decision.kind === 'gone'
        ? decision
        : { ...decision, position: sourcePosition(facts.source, decision.position) };
    return decideStart(checkpoint, resumption, 'now');
  };

  test.each(['backfill', 'now', 'earliest'] as const)('without a checkpoint it is %s', (from) => {
    expect(decideStart(null, { kind: 'unreadable' }, from)).toEqual({
      kind: 'anew',
      from,
      because: null,
    });
  });

  test('is the checkpoint, by GTID also on another server that has all of it', () => {
    const other = { ...good, source: { ...source, serverUuid: 'b' } };
    for (const facts of [good, other]) {
      expect(decide(byGtid, facts)).toEqual({
        kind: 'resume',
        position: {
          saved: { flavour: 'mysql', serverUuid: facts.source.serverUuid, gtidSet: 'x:1-5' },
          label: 'x:1-5',
        },
        owed: null,
      });
    }
    const owing = { ...byFile, pending: { because: 'a RENAME', isAnew: false } };
    expect(decide(owing, good)).toEqual({
      kind: 'resume',
      position: { saved: byFile.position, label: 'b.2:500' },
      owed: 'a RENAME',
    });
  });

  const facts = (more: Partial<PositionFacts>): PositionFacts => ({ ...good, ...more });
  const other = { ...source, serverUuid: 'b' };
  const cases: [string, Checkpoint, PositionFacts][] = [
    ['purged', byGtid, facts({ isStillThere: false })],
    ['lacks transactions', byGtid, facts({ isOfThisServer: false })],
    ['gtid_mode', byGtid, facts({ source: { ...source, hasGtids: false } })],
    ['no longer has', byFile, facts({ logFiles: [{ name: 'b.3', bytes: 10 }] })],
    ['shorter', byFile, facts({ logFiles: [{ name: 'b.2', bytes: 499 }] })],
    ['another server', byFile, facts({ source: other })],
    [
      'another server',
      at({ flavour: 'mariadb', serverUuid: 'a', gtidSet: 'x:1-5' }),
      facts({ source: { ...other, flavour: 'mariadb' } }),
    ],
    ['was mysql before', byGtid, facts({ source: { ...source, flavour: 'mariadb' } })],
    ['rows as text', { ...byGtid, pending: { because: 'rows as text', isAnew: true } }, good],
  ];

  test.each(cases)('is everyone anew, with the reason, when: %s', (reason, checkpoint, known) => {
    expect(decide(checkpoint, known)).toEqual({
      kind: 'anew',
      from: 'backfill',
      because: expect.stringContaining(reason) as string,
    });
  });

  test('a dump that fails because its position is gone is told from one that may be tried again', () => {
    const error = (errno: number, message: string): Error =>
      Object.assign(new Error(message), { errno });
    const gone = [
      'Cannot replicate because the source purged required binary logs.',
      'Could not find first log file name in binary log index file',
      "bogus data in log event; the first event 'b.2' at 500",
      'log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source',
      "Error: connecting slave requested to start from GTID 0-1-9, which is not in the master's binlog",
      'Could not open log file',
      'I/O error reading log event',
      'binlog truncated in the middle of event; consider out of disk space on source',
    ];
    for (const message of gone) expect(isPositionGone(error(1236, message))).toBe(true);
    expect(
      isPositionGone(error(1236, 'A replica with the same server_uuid/server_id has connected')),
    ).toBe(false);
    expect(isPositionGone(error(1045, 'purged'))).toBe(false);
  });
});
