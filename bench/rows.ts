/**
 * What a row costs from the binlog's packet to its message, and to the JSON of it alone: by our own
 * reading, and by zongji and the translation of its rows, in turn in one process. Needs no server.
 */
import type { CaptureEvent } from '../src/source/mysql/dump/events.ts';
import { EventTimes } from '../src/source/mysql/decode/event-time.ts';
import { RawEvents } from '../src/source/mysql/dump/raw-events.ts';
import { RowMessages } from '../src/capture/messages.ts';
import { Stamp } from '../src/source/mysql/transactions/stamp.ts';
import { BatchSet } from '../src/topics/batch/batch-set.ts';
import {
  type WrittenColumn,
  formatDescription,
  rowsEvent,
  tableMap,
  uint,
} from '../test/support/binlog-writer.ts';
import { PAGE_VIEWS_TABLES } from '../test/support/default-tables.ts';
import { zongjiReader } from '../test/support/zongji-rows.ts';

const ROWS = 1_000;
const ROUNDS = 9;
const EVENTS = 200;
const UTF8MB4 = 255;

const text = (name: string, bytesMax: number): WrittenColumn => ({
  name,
  type: 15,
  metadata: [bytesMax & 0xff, bytesMax >> 8],
  collation: UTF8MB4,
});
const COLUMNS: readonly WrittenColumn[] = [
  { name: 'id', type: 3, metadata: [] },
  { name: 'user_id', type: 3, metadata: [] },
  text('page', 1020),
  text('device', 200),
  text('browser', 400),
  text('location', 1020),
  { name: 'event_time', type: 17, metadata: [0] },
];

function packets(): { map: Buffer; rows: Buffer } {
  const sized = (value: string, prefix: number): Buffer =>
    Buffer.concat([uint(Buffer.byteLength(value), prefix), Buffer.from(value)]);
  const written = Array.from({ length: ROWS }, (_, n) => {
    const time = Buffer.alloc(4);
    time.writeUInt32BE(1_780_000_000 + n * 7);
    const place = n % 4 === 0 ? 'Zürich' : 'Austin, TX';
    return [
      uint(1_000_000 + n, 4),
      uint(n % 200, 4),
      sized(n % 3 === 0 ? 'pricing' : 'home', 2),
      sized('desktop', 1),
      sized('Chrome', 2),
      sized(place, 2),
      time,
    ];
  });
  const present = COLUMNS.map(() => true);
  const map = tableMap({ id: 9, schema: 'shop', table: 'page_views' }, COLUMNS, true);
  return { map, rows: rowsEvent(30, 9, present, written) };
}

/** Nanoseconds of CPU a row: others may be busy beside it. */
function measure(read: (packet: Buffer) => void, rows: Buffer): number {
  const before = process.cpuUsage();
  for (let n = 0; n < EVENTS; n += 1) read(rows);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / (EVENTS * ROWS);
}

const { map, rows } = packets();
const empty = (): BatchSet => new BatchSet({ partitionsOf: () => 6, nowMs: Date.now });
let made = empty();
const messages = new RowMessages({
  pageViews: 'v',
  userChanges: 'u',
  deadLetters: 'd',
  checkpoints: 'c',
});
const gtid = { source: '3e11fa47-71ca-11e1-9e33-c80aa9429562:', number: 1 };
const stamp = new Stamp({ gtid, file: '', position: 4 }, 'server', Date.now());
const scratch = Buffer.alloc(64 * 1024);
let isWhole = true;
const emit = (event: CaptureEvent): void => {
  made = empty();
  if (event.kind !== 'rows') return;
  if (isWhole) return messages.rows(event, stamp, made);
  while (event.rows.next()) if (event.rows.user() !== null) event.rows.writeView(scratch, 0);
};
const raw = new RawEvents({
  tables: PAGE_VIEWS_TABLES,
  flavour: 'mysql',
  charsets: { byCollation: new Map([[UTF8MB4, 'utf8mb4']]), texts: new Map() },
  times: new EventTimes('+00:00'),
  emit,
});
const own = (packet: Buffer): void => void raw.take(packet, 0, packet.length);
const theirs = await zongjiReader(PAGE_VIEWS_TABLES, '+00:00', emit);
own(formatDescription());
for (const read of [own, theirs]) {
  read(map);
  read(rows);
  if (made.count !== ROWS) throw new Error(`${made.count} messages of ${ROWS} rows`);
}
const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
for (const what of ['its message', 'its JSON']) {
  isWhole = what === 'its message';
  const figures: { own: number; zongji: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    figures.push({ own: measure(own, rows), zongji: measure(theirs, rows) });
  }
  const [ours, others] = [median(figures.map((f) => f.own)), median(figures.map((f) => f.zongji))];
  process.stdout.write(
    `a row to ${what}, median of ${ROUNDS} rounds: own reader ${ours.toFixed(0)} ns, zongji ${others.toFixed(0)} ns (${(others / ours).toFixed(1)} times)\n`,
  );
}
