import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CorruptEventError } from '../../src/source/mysql/decode/byte-reader.ts';
import { EventTimes } from '../../src/source/mysql/decode/event-time.ts';
import type { CaptureEvent } from '../../src/source/mysql/dump/events.ts';
import { RawEvents } from '../../src/source/mysql/dump/raw-events.ts';
import { RowMessages } from '../../src/capture/messages.ts';
import { Stamp } from '../../src/source/mysql/transactions/stamp.ts';
import { MessageList } from '../../src/topics/message-list.ts';
import type { OutgoingMessage } from '../../src/topics/port.ts';
import {
  formatDescription,
  packetOf,
  rowsEvent,
  summedUp,
  tableMap,
} from '../support/binlog-writer.ts';
import { PAGE_VIEWS_TABLES } from '../support/default-tables.ts';
import { type TriedColumn, rowOf, tableOf } from '../support/written-tables.ts';
import { zongjiReader } from '../support/zongji-rows.ts';

const NAMES = { pageViews: 'v', userChanges: 'u', deadLetters: 'd', checkpoints: 'c' };
const ID = { id: 108, schema: 'shop', table: 'page_views' };
const BY_COLLATION = new Map<number, string>([
  [45, 'utf8mb4'],
  [255, 'utf8mb4'],
  [33, 'utf8mb3'],
  [8, 'latin1'],
  [11, 'ascii'],
  [63, 'binary'],
  [51, 'cp1251'],
  [7, 'koi8r'],
  [13, 'sjis'],
  [28, 'gbk'],
  [248, 'gb18030'],
  [54, 'utf16'],
  [60, 'utf32'],
  [35, 'ucs2'],
  [2_100, 'latin1'],
]);
/** WRITE, UPDATE and DELETE_ROWS of both forms. */
const TYPES = [23, 24, 25, 30, 31, 32];
const UPDATES = new Set([24, 31]);

type Said = { messages: OutgoingMessage[]; unreadable: string[]; rows: number };

function listener(): { said: Said; emit: (event: CaptureEvent) => void } {
  const list = new MessageList();
  const said: Said = { messages: list.messages, unreadable: [], rows: 0 };
  const messages = new RowMessages(NAMES);
  const emit = (event: CaptureEvent): void => {
    if (event.kind === 'unreadable') said.unreadable.push(event.sentence);
    if (event.kind !== 'rows') return;
    messages.rows(event, new Stamp({ gtid: null, file: 'p', position: 4 }, 'server', 1), list);
    said.rows += event.rows.count;
  };
  return { said, emit };
}

function readRaw(packets: readonly Buffer[], timeZone = '+00:00', around = 0): Said {
  const { said, emit } = listener();
  const raw = new RawEvents({
    tables: PAGE_VIEWS_TABLES,
    flavour: 'mysql',
    charsets: { byCollation: BY_COLLATION, texts: new Map() },
    times: new EventTimes(timeZone),
    emit,
  });
  for (const packet of [formatDescription(), ...packets]) {
    const before = Buffer.alloc(7, around);
    const bytes = Buffer.concat([before, packet, Buffer.alloc(700, around)]);
    raw.take(bytes, before.length, before.length + packet.length);
  }
  return said;
}

const columnsOf = (table: readonly TriedColumn[]) => table.map(({ column }) => column);

/** A table, an event of its rows, and which columns are in it: ours, and others or not. */
const written = (isAnything: boolean) =>
  tableOf(isAnything).chain((table) =>
    fc.record({
      table: fc.constant(table),
      type: fc.constantFrom(...TYPES),
      isDefault: fc.boolean(),
      rows: fc
        .array(fc.tuple(rowOf(table), rowOf(table)), { minLength: 1, maxLength: 4 })
        .map((pairs) => pairs.flat()),
      present: fc.oneof(
        fc.constant(table.map(() => true)),
        fc.tuple(...table.map(({ isOurs }) => (isOurs ? fc.constant(true) : fc.boolean()))),
      ),
    }),
  );

describe('rows read from the packets of the log', () => {
  // Guards RowReader: whatever zongji and the translation of its rows get right, it gets the same.
  test.each(['+00:00', 'Europe/Berlin', '-05:30'])(
    'are the same messages as by way of zongji, to the byte, in the zone %s',
    async (timeZone) => {
      await fc.assert(
        fc.asyncProperty(written(false), async ({ table, type, isDefault, rows, present }) => {
          const packets = [
            tableMap(ID, columnsOf(table), isDefault),
            rowsEvent(type, ID.id, present, rows),
          ];
          const { said, emit } = listener();
          const read = await zongjiReader(PAGE_VIEWS_TABLES, timeZone, emit);
          for (const packet of packets) read(packet);
          expect(readRaw(packets, timeZone)).toEqual(said);
          expect(said.rows).toBe(UPDATES.has(type) ? rows.length / 2 : rows.length);
        }),
        { numRuns: 200 },
      );
    },
    120_000,
  );

  test('do not depend on what stands in the columns of others', () => {
    fc.assert(
      fc.property(written(true), ({ table, type, isDefault, rows, present }) => {
        const isKept = table.map(({ isOurs }) => isOurs);
        const only = <T>(all: readonly T[]): T[] => all.filter((_, at) => isKept[at] === true);
        const read = (of: readonly TriedColumn[], bits: boolean[], all: (Buffer | null)[][]) =>
          readRaw([tableMap(ID, columnsOf(of), isDefault), rowsEvent(type, ID.id, bits, all)]);
        const whole = read(table, present, rows);
        expect(whole.unreadable).toEqual([]);
        expect(whole).toEqual(read(only(table), only(present), rows.map(only)));
      }),
      { numRuns: 200 },
    );
  }, 120_000);

  // Guards every bound of ByteReader and RowReader: beyond the packet there are other packets.
  test('of a damaged packet are an error, or come of its own bytes alone', () => {
    fc.assert(
      fc.property(
        written(true),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }),
        fc.option(fc.nat()),
        fc.boolean(),
        ({ table, type, isDefault, rows, present }, flips, cut, isInMap) => {
          const packets = [
            tableMap(ID, columnsOf(table), isDefault),
            rowsEvent(type, ID.id, present, rows),
          ];
          const at = isInMap ? 0 : 1;
          const packet = Buffer.from(packets[at] ?? Buffer.alloc(0));
          // Not the length and the checksum, which would tell at once.
          for (const [place, mask] of flips) {
            const i = 20 + (place % (packet.length - 24));
            packet[i] = (packet[i] ?? 0) ^ mask;
          }
          const body = packet.subarray(0, packet.length - 4);
          const kept = cut === null ? body : body.subarray(0, cut % body.length);
          if (kept.length >= 14) kept.writeUInt32LE(kept.length + 3, 10);
          packets[at] = kept.length === 0 ? kept : summedUp(kept);
          const outcome = (around: number): unknown => {
            try {
              return readRaw(packets, '+00:00', around);
            } catch (error) {
              if (!(error instanceof CorruptEventError)) throw error;
              return error.message;
            }
          };
          const first = outcome(0x00);
          expect(outcome(0xff)).toEqual(first);
          expect(outcome(0x21)).toEqual(first);
          if (typeof first === 'string') return;
          for (const { value } of (first as Said).messages) JSON.parse(value);
        },
      ),
      { numRuns: 1_000 },
    );
  }, 120_000);

  test('of a packet that was damaged on its way are never believed', () => {
    fc.assert(
      fc.property(written(false), fc.nat(), fc.integer({ min: 1, max: 255 }), (of, place, mask) => {
        const event = rowsEvent(of.type, ID.id, of.present, of.rows);
        const i = 20 + (place % (event.length - 20));
        event[i] = (event[i] ?? 0) ^ mask;
        const map = tableMap(ID, columnsOf(of.table), of.isDefault);
        expect(() => readRaw([map, event])).toThrow(CorruptEventError);
      }),
    );
  }, 120_000);

  const column = (name: string, type: number, metadata: number[], collation = 45) => ({
    name,
    type,
    metadata,
    collation,
  });
  const PLAIN = [
    column('id', 3, []),
    column('user_id', 3, []),
    ...['page', 'device', 'browser', 'location'].map((name) => column(name, 15, [40, 0], 2_100)),
    column('event_time', 17, [0]),
  ];
  const text = (value: string): Buffer =>
    Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'latin1')]);
  const row = [
    Buffer.of(5, 0, 0, 0),
    Buffer.of(7, 0, 0, 0),
    ...['pricing', 'Zo\xeb', '', 'x'].map(text),
  ];
  const all = PLAIN.map(() => true);

  // Guards Collations: zongji's own list has no such id, and reads the text as UTF-8.
  test('are read in the character set that the server gives a collation', () => {
    const rows = [[...row, Buffer.of(0x6a, 0, 0, 0)]];
    const { messages } = readRaw([tableMap(ID, PLAIN, true), rowsEvent(30, ID.id, all, rows)]);
    expect(messages.map(({ value }) => value)).toEqual([
      '{"id":5,"user_id":7,"page":"pricing","device":"Zoë","browser":"","location":"x","event_time":"2026-05-11T13:17:36Z"}'.replace(
        '2026-05-11T13:17:36Z',
        new Date(0x6a000000 * 1000).toISOString().replace('.000', ''),
      ),
    ]);
  });

  // Guards instantSeconds: zongji reads a signed number. MariaDB 11.5 and later write up to 2106.
  test('have times after 2038', () => {
    const rows = [
      [...row, Buffer.of(0xff, 0xff, 0xff, 0xff)],
      [...row, Buffer.of(0, 0, 0, 0)],
    ];
    const { messages } = readRaw([tableMap(ID, PLAIN, true), rowsEvent(30, ID.id, all, rows)]);
    const times = messages.map(
      ({ value }) => (JSON.parse(value) as { event_time: unknown }).event_time,
    );
    expect(times).toEqual(['2106-02-07T06:28:15Z', null]);
  });

  test('are refused by name: an unknown collation or type, a missing column, part of a row', () => {
    const said = (columns: readonly (typeof PLAIN)[number][]): string =>
      readRaw([tableMap(ID, columns, true)]).unreadable.join();
    expect(said(PLAIN.map((c) => (c.name === 'page' ? { ...c, collation: 9_999 } : c)))).toContain(
      'column page of page_views has (collation 9999)',
    );
    expect(said([...PLAIN, column('odd', 200, [])])).toContain('a type that is not known (200)');
    expect(said(PLAIN.filter(({ name }) => name !== 'browser'))).toContain('no column browser');
    const present = all.map((_, at) => at !== 4);
    const rows = [[...row, Buffer.of(1, 0, 0, 0)]];
    expect(
      readRaw([tableMap(ID, PLAIN, true), rowsEvent(30, ID.id, present, rows)]).unreadable.join(),
    ).toContain('binlog_row_image=FULL');
  });

  test('are those of the table as it was last described, and of no other', () => {
    const rows = [[...row, Buffer.of(1, 0, 0, 0)]];
    const map = tableMap(ID, PLAIN, true);
    const event = rowsEvent(30, ID.id, all, rows);
    const moved = [PLAIN[1], PLAIN[0], ...PLAIN.slice(2)].filter((c) => c !== undefined);
    const ids = (packets: Buffer[]): unknown[] =>
      readRaw(packets).messages.map(({ value }) => (JSON.parse(value) as { id: unknown }).id);
    expect(ids([map, event, map, event, tableMap(ID, moved, true), event])).toEqual([5, 5, 7]);
    expect(ids([map, tableMap({ ...ID, table: 'others' }, PLAIN, true), event])).toEqual([]);
    expect(
      ids([map, packetOf(4, Buffer.from('\x04\0\0\0\0\0\0\0b.000002', 'latin1')), event]),
    ).toEqual([]);
  });
});
