import type { Connection } from 'mysql2/promise';
import type { Clock } from '../../model/clock.ts';
import type { LogPosition, ServerPosition } from './position.ts';
import {
  type LogFile,
  type ServerFacts,
  isSubset,
  readExecuted,
  readLogFiles,
  readPurged,
} from './server.ts';

/** What the server says of a saved position. */
export interface PositionFacts {
  source: Pick<ServerFacts, 'flavour' | 'serverUuid' | 'hasGtids'>;
  /** MySQL with GTIDs: whether nothing that it lacks was purged, and whether the server has it. */
  isStillThere?: boolean;
  isOfThisServer?: boolean;
  logFiles?: readonly LogFile[];
}

export type ResumeDecision =
  { kind: 'resume'; position: LogPosition } | { kind: 'gone'; because: string };

/** Whether to go on from a saved position: where that can't be, changes may be missing. */
export function decideResume(saved: ServerPosition, facts: PositionFacts): ResumeDecision {
  const { source } = facts;
  const gone = (because: string): ResumeDecision => ({ kind: 'gone', because });
  const resume = (position: LogPosition): ResumeDecision => ({ kind: 'resume', position });
  if (saved.flavour !== source.flavour) {
    return gone(`the database server was ${saved.flavour} before`);
  }
  const isSameServer = saved.serverUuid === source.serverUuid;
  if (!('gtidSet' in saved)) {
    const { file, position } = saved;
    if (!isSameServer)
      return gone('another server answers now, and file positions are of one server only');
    const log = facts.logFiles?.find(({ name }) => name === file);
    if (log === undefined) return gone(`the server no longer has the binlog file ${file}`);
    if (position > log.bytes)
      return gone(`the binlog file ${file} is shorter than the saved position`);
    return resume({ file, position });
  }
  const { gtidSet } = saved;
  if (source.flavour === 'mariadb') {
    if (!isSameServer) return gone('another server answers now');
    return resume({ gtidSet });
  }
  if (!source.hasGtids) return gone('gtid_mode is not ON any more');
  if (facts.isOfThisServer !== true)
    return gone('the server lacks transactions that were captured before');
  if (facts.isStillThere !== true)
    return gone('the server has purged binlogs that were not captured yet');
  return resume({ gtidSet });
}

/**
 * The log shows a transaction a moment before gtid_executed has it (with semi-synchronous
 * replication, a round trip), and a capture that restarts quickly can have seen it already.
 */
const EXECUTED_TRIES = 8;
const EXECUTED_WAIT_MS = 250;

/** Asks the server what `decideResume` needs to know. */
export async function askAbout(
  connection: Connection,
  source: ServerFacts,
  saved: ServerPosition,
  clock: Clock,
): Promise<PositionFacts> {
  if (source.flavour === 'mariadb') return { source };
  if (!('gtidSet' in saved)) return { source, logFiles: await readLogFiles(connection) };
  if (!source.hasGtids) return { source };
  const isExecuted = async (): Promise<boolean> =>
    isSubset(connection, saved.gtidSet, await readExecuted(connection));
  let isOfThisServer = await isExecuted();
  for (let tries = 1; !isOfThisServer && tries < EXECUTED_TRIES; tries += 1) {
    await clock.sleep(EXECUTED_WAIT_MS);
    isOfThisServer = await isExecuted();
  }
  const isStillThere = await isSubset(connection, await readPurged(connection), saved.gtidSet);
  return { source, isStillThere, isOfThisServer };
}

/** ER_MASTER_FATAL_ERROR_READING_BINLOG: all that can be wrong with a dump is said by it. */
const DUMP_FAILED = 1236;

/** Another listener with our server id, which is random: the next try has another one. */
const DUPLICATE_ID = /same server_(?:uu)?id/i;

/**
 * Whether a dump failed because the server has not, or cannot read, what was asked for: purged,
 * removed by hand, cut short, overwritten, another file of the same name. The server has a hundred
 * sentences for it; none of them is mended by asking for the same position again.
 */
export function isPositionGone(error: unknown): boolean {
  const { errno, message = '' } = error as { errno?: number; message?: string };
  return errno === DUMP_FAILED && !DUPLICATE_ID.test(message);
}
