import { randomInt } from 'node:crypto';
import ZongJi from '@vlasky/zongji';
import { connectionOptions } from '../database/connect.ts';
import type { DatabaseSettings } from '../settings/types.ts';
import { readCommitTimeMs, readEventType, readLogPosition } from './commit-time.ts';
import type { CapturedTable, CaptureEvent } from './events.ts';
import type { ParentWatch } from './parent-watch.ts';
import type { LogPosition } from './position.ts';
import { Translator, type ZongjiEvent } from './translate.ts';

/** An idle server says every so often that it is there; silence for longer is a dead link. */
export const HEARTBEAT_MS = 4_000;

/** A reader that waits for the topics is no reason for the server to hang up on it. */
const NET_WRITE_TIMEOUT_S = 3_600;
const SESSION_IDLE_S = 31_536_000;

/** High, so that it meets no replica's: a second listener with the same id evicts the first. */
const SERVER_ID_MIN = 1_000_000_000;
const SERVER_ID_MAX = 4_294_967_295;

/** Row changes that zongji can not read, by event type; each with what to set. */
const UNREADABLE: ReadonlyMap<number, string> = new Map([
  [39, 'the binlog has partial JSON updates; set binlog_row_value_options to the empty string'],
  [40, 'the binlog has compressed transactions; set binlog_transaction_compression=OFF'],
]);
/** LOAD DATA as a statement, which zongji passes over. */
const EXECUTE_LOAD_QUERY_EVENT = 18;
/** Changes were lost on their way to the log; a replica stops at it. */
const INCIDENT_EVENT = 26;

const EVENTS = [
  'tablemap',
  'writerows',
  'updaterows',
  'deleterows',
  'gtid',
  'anonymousgtid',
  'mariadbgtid',
  'query',
  'xid',
  'xaprepare',
  'rotate',
  'heartbeat',
];

export interface BinlogOptions {
  db: DatabaseSettings;
  start: LogPosition;
  /** As the server spells them. */
  tables: readonly { schema: string; name: string; table: CapturedTable }[];
  parents: ParentWatch;
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
  /** Whether the server is heard at all: `performance.now()` of its last packet. */
  readonly lastHeardMs: number;
  /** Everything before this place of the log was handed on. */
  readonly reached: { file: string; position: number };
}

interface Packet {
  buffer: Buffer;
  offset: number;
  end: number;
}

/** What we use of mysql2's connection beside its documented face (lib/base/connection.js). */
interface RawConnection {
  _paused: boolean;
  pause(): void;
  resume(): void;
  handlePacket(packet: Packet | undefined): void;
  query(sql: string, callback: (error: unknown) => void): void;
}

/** Starts reading at `start`. Failures come by `onError`, those of connecting too. */
export function openBinlog(options: BinlogOptions): Binlog {
  const { db, start, onEvent } = options;
  let isOver = false;
  const onError = (error: unknown): void => {
    if (isOver) return;
    isOver = true;
    options.onError(error);
  };
  const translator = new Translator(options.tables, onEvent);
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
  const connection = zongji.connection as unknown as RawConnection;
  prepareSessions(connection, zongji.ctrlConnection as unknown as RawConnection, onError);
  let lastHeardMs = performance.now();
  let reached = { file: '', position: 0 };
  const onHandled = ({ buffer, offset, end }: Packet): void => {
    const { file } = translator;
    // A file begins with a Rotate, whose own position is none of that file.
    if (file !== reached.file) reached = { file, position: 0 };
    else reached.position = readLogPosition(buffer, offset, end) || reached.position;
  };
  const onPacket = (packet: Packet): void => {
    lastHeardMs = performance.now();
    if (isOver) return;
    const { buffer, offset, end } = packet;
    translator.commitMs = readCommitTimeMs(buffer, offset, end) ?? translator.commitMs;
    const type = readEventType(buffer, offset, end);
    const sentence = UNREADABLE.get(type);
    if (sentence !== undefined) onEvent({ kind: 'unreadable', sentence });
    if (type === INCIDENT_EVENT) onEvent({ kind: 'incident' });
    translator.packet = packet;
    const parent = options.parents.changedBy(buffer, offset, end);
    if (parent !== null) {
      const because = `rows of ${parent.schema}.${parent.name} were changed, which cascades into our tables`;
      onEvent({ kind: 'unseen', because });
    }
    if (type === EXECUTE_LOAD_QUERY_EVENT) {
      const text = buffer.toString('latin1', offset, end);
      if (options.tables.some(({ name }) => text.includes(name))) {
        onEvent({
          kind: 'unreadable',
          sentence: 'the binlog has LOAD DATA as a statement; set binlog_format=ROW',
        });
      } else onEvent({ kind: 'unseen', because: 'the binlog has LOAD DATA as a statement' });
    }
  };
  onPackets(connection, onPacket, onHandled, onError);
  return {
    pause: () => connection.pause(),
    resume: () => connection.resume(),
    get lastHeardMs() {
      return lastHeardMs;
    },
    get reached() {
      return reached;
    },
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      await stop(zongji, settled.promise);
    },
  };
}

/** These run before the dump command, which zongji sends after queries of its own. */
function prepareSessions(
  dump: RawConnection,
  control: RawConnection,
  onError: (error: unknown) => void,
): void {
  const check = (error: unknown): void => {
    if (error !== null && error !== undefined) onError(error);
  };
  const periodNs = HEARTBEAT_MS * 1_000_000;
  dump.query(
    `SET @master_heartbeat_period = ${periodNs}, @source_heartbeat_period = ${periodNs}`,
    check,
  );
  dump.query(`SET SESSION net_write_timeout = ${NET_WRITE_TIMEOUT_S}`, check);
  control.query(`SET SESSION wait_timeout = ${SESSION_IDLE_S}`, check);
}

/**
 * Shows every packet before and after zongji (in a pause: when its turn comes). What zongji throws
 * at one goes to `onError`: uncaught, it would end the program, at the same place at every start.
 */
function onPackets(
  connection: RawConnection,
  before: (packet: Packet) => void,
  after: (packet: Packet) => void,
  onError: (error: unknown) => void,
): void {
  const handlePacket = connection.handlePacket.bind(connection);
  connection.handlePacket = (packet) => {
    const isNow = packet !== undefined && !connection._paused;
    // Handling moves the packet's offset.
    const seen = isNow ? { buffer: packet.buffer, offset: packet.offset, end: packet.end } : null;
    try {
      if (seen !== null) before(seen);
      handlePacket(packet);
      if (seen !== null) after(seen);
    } catch (error) {
      onError(error);
    }
  };
}

/** zongji kills its dump thread on the server by the other connection; that may not answer. */
async function stop(zongji: ZongJi, settled: Promise<void>): Promise<void> {
  zongji.on('error', () => undefined);
  // Stopped in the midst of connecting, mysql2 complains on the console.
  await withinMs(settled, 1_000);
  const stopped = new Promise<void>((resolve) => {
    zongji.once('stopped', () => resolve());
  });
  zongji.stop();
  await withinMs(stopped, 2_000);
}

async function withinMs(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, limit]);
  clearTimeout(timer);
}
