import type { Logger } from '../observe/logger.ts';
import type { OpenSource, Resumption, SourcePosition } from '../source/port.ts';
import type { StartFrom } from '../settings/types.ts';
import type { Publisher } from '../topics/port.ts';
import { type Checkpoint, checkpointText, parseCheckpoint } from './checkpoint.ts';
import { type LookOptions, askEveryone, publishingTo } from './resync.ts';
import type { CaptureResync, LiveStatus } from './status.ts';

export type StartDecision =
  /** `owed`: why everyone is to be looked at beside the stream, or null. */
  | { kind: 'resume'; position: SourcePosition; owed: string | null }
  /** `because` is null where this is no surprise (the first start). */
  | { kind: 'anew'; from: StartFrom; because: string | null };

/**
 * Where to begin. A checkpoint that can't be gone on from means that changes may be missing: then
 * everyone is looked at again, whatever `startFrom` is for a first start.
 */
export function decideStart(
  checkpoint: Checkpoint | null,
  resumption: Resumption,
  startFrom: StartFrom,
): StartDecision {
  if (checkpoint === null || resumption.kind === 'unreadable') {
    return { kind: 'anew', from: startFrom, because: null };
  }
  const { pending } = checkpoint;
  if (pending?.isAnew === true) return { kind: 'anew', from: 'backfill', because: pending.because };
  if (resumption.kind === 'gone') {
    return { kind: 'anew', from: 'backfill', because: resumption.because };
  }
  return { kind: 'resume', position: resumption.position, owed: pending?.because ?? null };
}

export interface StartOptions extends Omit<LookOptions, 'publish'> {
  source: OpenSource;
  publisher: Publisher;
  checkpointSource: string;
  startFrom: StartFrom;
  logger: Logger;
  status: LiveStatus;
  onResync: (reason: CaptureResync) => void;
}

/** Where to read from, and why everyone is to be looked at beside that, or null. */
export interface Start {
  position: SourcePosition;
  owed: string | null;
}

/** Finds it, after a look at everyone where that is called for; null: `signal` came first. */
export async function findStart(options: StartOptions): Promise<Start | null> {
  const { source, publisher, checkpointSource, startFrom, logger, clock, signal } = options;
  const saved = await publisher.loadCheckpoint(checkpointSource);
  const checkpoint = saved === null ? null : parseCheckpoint(saved);
  const resumption: Resumption =
    checkpoint === null ? { kind: 'unreadable' } : await source.resume(checkpoint.position);
  if (saved !== null && resumption.kind === 'unreadable')
    logger.warn('capture: the saved checkpoint cannot be read');
  const start = decideStart(checkpoint, resumption, startFrom);
  if (start.kind === 'resume') return start;
  if (start.because !== null) {
    logger.warn(`capture: ${start.because}; starting anew: all eligible users are looked at again`);
  }
  if (start.from === 'backfill') return await beginVisible(start.because, options);
  const position = await source.positionAt(start.from);
  // At once: what is written while capture is down, before it has seen anything, counts as well.
  const value = checkpointText(position, null, clock.epochMs());
  await publisher.publish([], { source: checkpointSource, value }, signal);
  return { position, owed: null };
}

/**
 * Asks for a look at everyone at a position before which all is visible. The checkpoint is saved only
 * when that is durable, so a crash before begins it again.
 */
async function beginVisible(because: string | null, options: StartOptions): Promise<Start | null> {
  const { source, publisher, checkpointSource, logger, status, clock, signal } = options;
  const position = await source.positionAt('visible');
  status.change('bootstrapping', because);
  options.onResync(because === null ? 'first-start' : 'log-lost');
  logger.info(
    `capture: asking for a look at every eligible user; the stream goes on from ${position.label}`,
  );
  const publish = publishingTo(publisher, signal);
  const users = await askEveryone({ ...options, publish }, 'backfill');
  if (signal.aborted) return null;
  const value = checkpointText(position, null, clock.epochMs());
  await publisher.publish([], { source: checkpointSource, value }, signal);
  logger.info(`capture: asked for a look at ${users} ${users === 1 ? 'user' : 'users'}`);
  return { position, owed: null };
}
