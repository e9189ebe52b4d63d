import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import type { StartFrom } from '../../settings/types.ts';
import type { Checkpoint, LogPosition } from './position.ts';
import {
  type LogFile,
  type Source,
  isSubset,
  readExecuted,
  readLogFiles,
  readPurged,
} from './server.ts';

/** What the server says of a checkpoint. */
export interface CheckpointFacts {
  source: Pick<Source, 'flavour' | 'serverUuid' | 'hasGtids'>;
  /** MySQL with GTIDs: whether nothing that it lacks was purged, and whether the server has it. */
  isStillThere?: boolean;
  isOfThisServer?: boolean;
  logFiles?: readonly LogFile[];
}

export type Start =
  /** `everyone`: why all eligible users are to be asked for beside the stream, or null. */
  | { kind: 'resume'; position: LogPosition; everyone: string | null }
  /** `because` is null where this is no surprise (the first start). */
  | { kind: 'anew'; from: StartFrom; because: string | null };

/**
 * Where to begin. A checkpoint that can't be gone on from means that changes may be missing: then
 * everyone is looked at again, whatever `startFrom` is for a first start.
 */
export function decideStart(
  checkpoint: Checkpoint | null,
  facts: CheckpointFacts,
  startFrom: StartFrom,
): Start {
  const { source } = facts;
  if (checkpoint === null) return { kind: 'anew', from: startFrom, because: null };
  const anew = (because: string): Start => ({ kind: 'anew', from: 'backfill', because });
  if (checkpoint.lost !== undefined) return anew(checkpoint.lost);
  if (checkpoint.flavour !== source.flavour)
    return anew(`the database server was ${checkpoint.flavour} before`);
  const resume = (position: LogPosition): Start => ({
    kind: 'resume',
    position,
    everyone: checkpoint.everyone ?? null,
  });
  const isSameServer = checkpoint.serverUuid === source.serverUuid;
  if (!('gtidSet' in checkpoint)) {
    const { file, position } = checkpoint;
    if (!isSameServer)
      return anew('another server answers now, and file positions are of one server only');
    const log = facts.logFiles?.find(({ name }) => name === file);
    if (log === undefined) return anew(`the server no longer has the binlog file ${file}`);
    if (position > log.bytes)
      return anew(`the binlog file ${file} is shorter than the saved position`);
    return resume({ file, position });
  }
  const { gtidSet } = checkpoint;
  if (source.flavour === 'mariadb') {
    if (!isSameServer) return anew('another server answers now');
    return resume({ gtidSet });
  }
  if (!source.hasGtids) return anew('gtid_mode is not ON any more');
  if (facts.isOfThisServer !== true)
    return anew('the server lacks transactions that were captured before');
  if (facts.isStillThere !== true)
    return anew('the server has purged binlogs that were not captured yet');
  return resume({ gtidSet });
}

/**
 * The log shows a transaction a moment before gtid_executed has it (with semi-synchronous
 * replication, a round trip), and a capture that restarts quickly can have seen it already.
 */
const EXECUTED_TRIES = 8;
const EXECUTED_WAIT_MS = 250;

/** Asks the server what `decideStart` needs to know. */
export async function askAbout(
  connection: Connection,
  source: Source,
  checkpoint: Checkpoint | null,
): Promise<CheckpointFacts> {
  if (checkpoint === null || source.flavour === 'mariadb') return { source };
  if (!('gtidSet' in checkpoint)) return { source, logFiles: await readLogFiles(connection) };
  if (!source.hasGtids) return { source };
  const isExecuted = async (): Promise<boolean> =>
    isSubset(connection, checkpoint.gtidSet, await readExecuted(connection));
  let isOfThisServer = await isExecuted();
  for (let tries = 1; !isOfThisServer && tries < EXECUTED_TRIES; tries += 1) {
    await sleep(EXECUTED_WAIT_MS);
    isOfThisServer = await isExecuted();
  }
  const isStillThere = await isSubset(connection, await readPurged(connection), checkpoint.gtidSet);
  return { source, isStillThere, isOfThisServer };
}

/** ER_MASTER_FATAL_ERROR_READING_BINLOG: all that can be wrong with a dump is said by it. */
const DUMP_FAILED = 1236;

/** Another listener with our server id, which is random: the next try has another one. */
const DUPLICATE_ID = /same server_(?:uu)?id/i;

/**
 * Whether a dump failed because the server has not, or can not read, what was asked for: purged,
 * removed by hand, cut short, overwritten, another file of the same name. The server has a hundred
 * sentences for it; none of them is mended by asking for the same place again.
 */
export function isPositionGone(error: unknown): boolean {
  const { errno, message = '' } = error as { errno?: number; message?: string };
  return errno === DUMP_FAILED && !DUPLICATE_ID.test(message);
}
