import { randomInt } from 'node:crypto';
import ZongJi from '@vlasky/zongji';
import { connectionOptions } from '../../../database/connect.ts';
import { preamble } from '../../../database/preamble.ts';
import type { Clock } from '../../../model/clock.ts';
import type { DatabaseSettings } from '../../../settings/types.ts';
import { COLLATION_QUERIES, type Charsets, TEXTS_QUERY } from '../decode/charsets.ts';
import { readEventType, readLogPosition } from './commit-time.ts';
import { EventTimes } from '../decode/event-time.ts';
import type { CaptureEvent, NamedTable } from './events.ts';
import { type Packet, type RawConnection, onPackets } from './packets.ts';
import type { ParentWatch } from './parent-watch.ts';
import type { Flavour, LogPosition } from '../position.ts';
import { RawEvents } from './raw-events.ts';
import { Translator, type ZongjiEvent } from './translate.ts';

/** An idle server says every so often that it is there; silence for longer is a dead link. */
export const HEARTBEAT_MS = 4_000;

/** A reader that waits for the topics is no reason for the server to hang up on it. */
const NET_WRITE_TIMEOUT_S = 3_600;
const SESSION_IDLE_S = 31_536_000;

/** High, so that it meets no replica's: a second listener with the same id evicts the first. */
const SERVER_ID_MIN = 1_000_000_000;
const SERVER_ID_MAX = 4_294_967_295;

/** Row changes that zongji cannot read, by event type; each with what to set. */
const UNREADABLE: ReadonlyMap<number, string> = new Map([
  [39, 'the binlog has partial JSON updates; set binlog_row_value_options to the empty string'],
  [40, 'the binlog has compressed transactions; set binlog_transaction_compression=OFF'],
]);
/** LOAD DATA as a statement, which zongji passes over. */
const EXECUTE_LOAD_QUERY_EVENT = 18;
const CHECKSUM_BYTES = 4;
/** Changes were lost on their way to the log; a replica stops at it. */
const INCIDENT_EVENT = 26;

const EVENTS = [
  'tablemap',
  'writerows',
  'updaterows',
  'deleterows',
  'gtid',
  'mariadbgtid',
  'query',
  'xaprepare',
  'heartbeat',
];

export interface BinlogOptions {
  db: DatabaseSettings;
  start: LogPosition;
  flavour: Flavour;
  /** As the server spells them. */
  tables: readonly NamedTable[];
  parents: ParentWatch;
  clock: Clock;
  /** Called in the order of the log, synchronously; it must not throw. */
  onEvent: (event: CaptureEvent) => void;
  /** At most once; then nothing more comes. */
  onError: (error: unknown) => void;
}

/** An open dump of the binlog. Dispose it before another is opened. */
export interface Binlog extends AsyncDisposable {
  /** Events stop soon, not at once: what the socket has delivered already still comes. */
  pause(): void;
  resume(): void;
  /** Whether the server is heard at all: the clock's `now()` of its last packet, which may be as late as the question. */
  readonly lastHeardMs: number;
  /** Everything before this position of the log was handed on. */
  readonly reached: { file: string; position: number };
}

/** What we use of zongji beside its documented face (index.js). */
interface RawZongji {
  connection: RawConnection;
  ctrlConnection: RawConnection;
  _establishConnection(dsn: unknown): void;
}

/** Starts reading at `start`. Failures come by `onError`, those of connecting too. */
export function openBinlog(options: BinlogOptions): Binlog {
  const { db, start, clock, onEvent } = options;
  let isOver = false;
  const onError = (error: unknown): void => {
    if (isOver) return;
    isOver = true;
    options.onError(error);
  };
  const times = new EventTimes(db.timeZone);
  const charsets: Charsets = { byCollation: new Map(), texts: new Map() };
  const { tables, flavour } = options;
  const translator = new Translator(tables, flavour, times, onEvent);
  const emit = (event: CaptureEvent): void => {
    if (event.kind === 'rotate') translator.file = event.file;
    onEvent(event);
  };
  const raw = new RawEvents({ tables, flavour, charsets, times, emit });
  const zongji = new ZongJi({ ...connectionOptions(db), dateStrings: false, timezone: 'Z' });
  const settled = Promise.withResolvers<void>();
  zongji.on('error', (error: unknown) => {
    settled.resolve();
    onError(error);
  });
  zongji.once('ready', settled.resolve);
  zongji.on('binlog', (event: unknown) => {
    if (isOver) return;
    try {
      translator.translate(event as ZongjiEvent);
    } catch (error) {
      onError(error);
    }
  });
  const inside = zongji as unknown as RawZongji;
  const establish = inside._establishConnection.bind(zongji);
  // Before the queries that it sends at once.
  inside._establishConnection = (dsn) => {
    establish(dsn);
    prepareSessions(inside.connection, inside.ctrlConnection, db.timeZone, onError);
    readCharsets(inside.ctrlConnection, charsets, onError);
  };
  const includeSchema: Record<string, string[]> = {};
  for (const { schema, name } of options.tables) (includeSchema[schema] ??= []).push(name);
  zongji.start({
    serverId: randomInt(SERVER_ID_MIN, SERVER_ID_MAX),
    includeEvents: EVENTS,
    includeSchema,
    ...('gtidSet' in start
      ? { gtidSet: start.gtidSet }
      : { filename: start.file, position: start.position }),
  });
  if (!('gtidSet' in start)) translator.file = start.file;
  const { connection } = inside;
  let lastHeardMs = clock.now();
  let reached = { file: '', position: 0 };
  const onHandled = ({ buffer, offset, end }: Packet): void => {
    const { file } = translator;
    // A file begins with a Rotate, whose own position is none of that file.
    if (file !== reached.file) reached = { file, position: 0 };
    else reached.position = readLogPosition(buffer, offset, end) || reached.position;
  };
  /** Since it was asked when: the clock costs more than most packets. */
  let isHeard = false;
  /** Changes that no event of ours tells of. */
  const notice = (buffer: Buffer, offset: number, end: number): void => {
    const type = readEventType(buffer, offset, end);
    const sentence = UNREADABLE.get(type);
    if (sentence !== undefined) onEvent({ kind: 'unreadable', sentence });
    if (type === INCIDENT_EVENT) onEvent({ kind: 'incident' });
    if (type === EXECUTE_LOAD_QUERY_EVENT) {
      const text = buffer.toString('latin1', offset, end);
      if (options.tables.some(({ name }) => text.includes(Buffer.from(name).toString('latin1')))) {
        onEvent({
          kind: 'unreadable',
          sentence:
            'the binlog has LOAD DATA as a statement; set binlog_format=ROW, and let no session set another',
        });
      } else onEvent({ kind: 'unseen', because: 'the binlog has LOAD DATA as a statement' });
    }
  };
  /** Whether it is done with, and nothing for zongji. */
  const take = ({ buffer, offset, end }: Packet): boolean => {
    isHeard = true;
    if (isOver) return false;
    const parent = options.parents.changedBy(buffer, offset, end);
    if (parent !== null) {
      const because = `rows of ${parent.schema}.${parent.name} were changed, which cascades into our tables`;
      onEvent({ kind: 'unseen', because });
    }
    const isDone = zongji.ready && raw.take(buffer, offset, end);
    if (isDone) return true;
    notice(buffer, offset, end);
    if (!zongji.ready) return false;
    zongji.useChecksum = raw.hasChecksums ?? zongji.useChecksum;
    const checksumBytes = raw.hasChecksums === true ? CHECKSUM_BYTES : 0;
    translator.packet = { buffer, offset, end: end - checksumBytes };
    return false;
  };
  onPackets(connection, { take, after: onHandled, failed: onError });
  return {
    pause: () => connection.pause(),
    resume: () => connection.resume(),
    get lastHeardMs() {
      if (isHeard) lastHeardMs = clock.now();
      isHeard = false;
      return lastHeardMs;
    },
    get reached() {
      return reached;
    },
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      await stop(zongji, settled.promise, clock);
    },
  };
}

/** Their queries have no time limit: the dump is one, and the server's word for a dead link. */
function prepareSessions(
  dump: RawConnection,
  control: RawConnection,
  timeZone: string,
  onError: (error: unknown) => void,
): void {
  const check = (error: unknown): void => {
    if (error !== null && error !== undefined) onError(error);
  };
  for (const connection of [dump, control]) connection.query(preamble(0), [timeZone], check);
  // Files of the log may have been written with checksums or without, whatever is set now.
  dump.query("SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'", check);
  const periodNs = HEARTBEAT_MS * 1_000_000;
  dump.query(
    `SET @master_heartbeat_period = ${periodNs}, @source_heartbeat_period = ${periodNs}`,
    check,
  );
  dump.query(`SET SESSION net_write_timeout = ${NET_WRITE_TIMEOUT_S}`, check);
  control.query(`SET SESSION wait_timeout = ${SESSION_IDLE_S}`, check);
}

/** Asked before zongji's own last query on this connection, and so answered before the dump. */
function readCharsets(
  control: RawConnection,
  { byCollation, texts }: Charsets,
  onError: (error: unknown) => void,
): void {
  const ask = (sql: string, onRow: (row: Readonly<Record<string, unknown>>) => void): void =>
    control.query(sql, (error, rows) => {
      const { code } = (error ?? {}) as { code?: string };
      // A server that lacks a column or a character set has nothing to say there.
      if (code === 'ER_BAD_FIELD_ERROR' || code === 'ER_UNKNOWN_CHARACTER_SET') return;
      if (error !== null && error !== undefined) return onError(error);
      for (const row of rows as Record<string, unknown>[]) onRow(row);
    });
  for (const sql of COLLATION_QUERIES) {
    ask(sql, ({ id, charset }) => {
      if (id !== null && charset !== null) byCollation.set(Number(id), String(charset));
    });
  }
  ask(TEXTS_QUERY, (row) => {
    for (const [charset, text] of Object.entries(row)) texts.set(charset, String(text));
  });
}

/** zongji kills its dump thread on the server by the other connection; that may not answer. */
async function stop(zongji: ZongJi, settled: Promise<void>, clock: Clock): Promise<void> {
  zongji.on('error', () => undefined);
  // Stopped in the midst of connecting, mysql2 complains on the console.
  await withinMs(settled, 1_000, clock);
  const stopped = new Promise<void>((resolve) => {
    zongji.once('stopped', () => resolve());
  });
  zongji.stop();
  await withinMs(stopped, 2_000, clock);
}

async function withinMs(promise: Promise<void>, ms: number, clock: Clock): Promise<void> {
  const limit = Promise.withResolvers<void>();
  const timer = clock.timer(ms, limit.resolve);
  await Promise.race([promise, limit.promise]);
  timer.cancel();
}
