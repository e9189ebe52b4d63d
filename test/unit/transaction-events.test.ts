import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CorruptEventError } from '../../src/source/mysql/decode/byte-reader.ts';
import { EventTimes } from '../../src/source/mysql/decode/event-time.ts';
import type { CaptureEvent } from '../../src/source/mysql/dump/events.ts';
import { UNKNOWN_STATUS } from '../../src/source/mysql/dump/query-status.ts';
import { RawEvents } from '../../src/source/mysql/dump/raw-events.ts';
import { formatDescription, packetOf, summedUp, uint } from '../support/binlog-writer.ts';
import { zongjiReader } from '../support/zongji-rows.ts';

const QUERY = 2;
const ROTATE = 4;
const XID = 16;
const GTID = 33;
const ANONYMOUS_GTID = 34;
const MARIADB_GTID = 162;
/** As `packetOf` writes them; the file as `ROTATION` names it. */
const PLACE = { file: 'b.000002', position: 4_000 };
const SECONDS = 1_700_000_000;
const ROTATION = packetOf(ROTATE, Buffer.from('\x04\0\0\0\0\0\0\0b.000002', 'latin1'));

const uint64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};
const bytesOf = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
const number = fc.oneof(fc.nat().map(BigInt), fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }));
const gtidBody = fc
  .tuple(bytesOf(16), number, fc.uint8Array({ maxLength: 40 }))
  .map(([uuid, gno, rest]) => Buffer.concat([uint(1, 1), uuid, uint64(gno), Buffer.from(rest)]));
/** Without the flags of XA. */
const mariadbBody = fc
  .tuple(number, fc.nat(), fc.nat(63))
  .map(([seqNo, domain, flags]) =>
    Buffer.concat([uint64(seqNo), uint(domain, 4), uint(flags, 1), Buffer.alloc(9)]),
  );

/** What is said of packets, and which of them are left to zongji. */
function read(packets: readonly Buffer[]): { said: CaptureEvent[]; left: number[] } {
  const said: CaptureEvent[] = [];
  const raw = new RawEvents({
    tables: [],
    flavour: 'mysql',
    charsets: { byCollation: new Map(), texts: new Map() },
    times: new EventTimes('+00:00'),
    emit: (event) => void said.push(event),
  });
  const left: number[] = [];
  for (const [at, packet] of [formatDescription(), ROTATION, ...packets].entries()) {
    const bytes = Buffer.concat([Buffer.alloc(7), packet, Buffer.alloc(70, 0xff)]);
    if (!raw.take(bytes, 7, 7 + packet.length)) left.push(at - 2);
  }
  return { said: said.slice(1), left: left.slice(1) };
}

async function readByZongji(packets: readonly Buffer[]): Promise<CaptureEvent[]> {
  const said: CaptureEvent[] = [];
  const take = await zongjiReader([], '+00:00', (event) => void said.push(event));
  for (const packet of packets) take(packet);
  return said;
}

function queryBody(status: Buffer, schema: string, text: string): Buffer {
  const schemaBytes = Buffer.from(schema);
  return Buffer.concat([
    uint(7, 4),
    uint(0, 4),
    uint(schemaBytes.length, 1),
    uint(0, 2),
    uint(status.length, 2),
    status,
    schemaBytes,
    uint(0, 1),
    Buffer.from(text),
  ]);
}

describe('how transactions begin and end', () => {
  test('is read as by way of zongji', async () => {
    const packets = fc.array(
      fc.oneof(
        gtidBody.map((body) => packetOf(GTID, body)),
        mariadbBody.map((body) => packetOf(MARIADB_GTID, body)),
      ),
      { minLength: 1, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(packets, async (all) => {
        const { said, left } = read(all);
        expect(left).toEqual([]);
        // zongji does not read the commit time, and is not told of the file here.
        const plain = said.map((event) => ({ ...event, commitMs: null, file: '' }));
        expect(plain).toEqual(await readByZongji(all));
      }),
      { numRuns: 300 },
    );
  });

  test('with the commit time of MySQL, where it has one', () => {
    const clock = Buffer.concat([uint(2, 1), Buffer.alloc(16)]);
    const micros = uint64(1_700_000_000_123_456n).subarray(0, 7);
    const head = Buffer.concat([uint(0, 1), Buffer.alloc(16, 0xab), uint64(9n)]);
    const begins = [GTID, ANONYMOUS_GTID].map((type) =>
      packetOf(type, Buffer.concat([head, clock, micros])),
    );
    const begin = { kind: 'begin', seconds: SECONDS, isOpen: false, isXa: false, ...PLACE };
    const gtid = { source: 'abababab-abab-abab-abab-abababababab:', number: 9 };
    expect(read([...begins, packetOf(GTID, head)]).said).toEqual([
      { ...begin, gtid, commitMs: 1_700_000_000_123 },
      { ...begin, gtid: null, commitMs: 1_700_000_000_123 },
      { ...begin, gtid, commitMs: null },
    ]);
  });

  test('leaves every statement but BEGIN, and the GTIDs of XA, to zongji', () => {
    const anything = fc.tuple(
      fc.uint8Array({ maxLength: 30 }),
      fc.string({ maxLength: 20 }),
      fc.oneof(fc.string(), fc.constantFrom('BEGIN', 'BEGIN ', 'begin', 'COMMIT', 'XA BEGIN', '')),
    );
    fc.assert(
      fc.property(anything, ([status, schema, text]) => {
        const packet = packetOf(QUERY, queryBody(Buffer.from(status), schema, text));
        const begin = { kind: 'statement', schema: '', text, status: UNKNOWN_STATUS, ...PLACE };
        expect(read([packet])).toEqual(
          text === 'BEGIN' ? { said: [begin], left: [] } : { said: [], left: [0] },
        );
      }),
    );
    const xa = Buffer.concat([uint64(1n), uint(0, 4), uint(64, 1), Buffer.alloc(6)]);
    expect(read([packetOf(MARIADB_GTID, xa), packetOf(XID, Buffer.alloc(8))])).toEqual({
      said: [{ kind: 'end', ...PLACE }],
      left: [0],
    });
  });

  const events = fc.oneof(
    gtidBody.map((body) => ({ packet: packetOf(GTID, body), needed: 25 })),
    mariadbBody.map((body) => ({ packet: packetOf(MARIADB_GTID, body), needed: 13 })),
    bytesOf(8).map((body) => ({ packet: packetOf(XID, body), needed: 8 })),
  );

  test('is never read from a packet that was damaged on its way', () => {
    fc.assert(
      fc.property(events, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ packet }, place, mask) => {
        const at = 20 + (place % (packet.length - 20));
        packet[at] = (packet[at] ?? 0) ^ mask;
        expect(() => read([packet])).toThrow(CorruptEventError);
      }),
      { numRuns: 300 },
    );
  });

  test('of an event that is cut off is an error, or the same', () => {
    fc.assert(
      fc.property(events, fc.nat(), ({ packet, needed }, cut) => {
        const length = cut % (packet.length - 24);
        const kept = packet.subarray(0, 20 + length);
        const whole = read([packet]).said;
        kept.writeUInt32LE(kept.length + 3, 10);
        const part = summedUp(Buffer.from(kept));
        if (length < needed) expect(() => read([part])).toThrow(CorruptEventError);
        else {
          const plain = (all: CaptureEvent[]) => all.map((event) => ({ ...event, commitMs: null }));
          expect(plain(read([part]).said)).toEqual(plain(whole));
        }
      }),
      { numRuns: 300 },
    );
  });
});
