import { setTimeout as sleep } from 'node:timers/promises';
import { UnavailableError } from '../../errors.ts';
import type { PartitionBounds, ReceivedMessage } from '../port.ts';
import { keyOf } from '../key-of.ts';
import type { FetchAnswer } from './wire/brokers.ts';
import { NO_ERROR, OFFSET_OUT_OF_RANGE, TOPIC_AUTHORIZATION_FAILED } from './wire/error-codes.ts';
import { notAllowed } from './wire/leaders.ts';
import { readBatches } from './wire/records.ts';
import type { Wire } from './wire/wire.ts';

const FETCH_WAIT_MS = 250;
const RETRY_MS = 100;

export interface ReadLimits {
  /** Without an answer that helped, a read ends with an error. */
  silenceMsMax: number;
  /**
   * A leader that was just elected may take so long to know how far the partition is. Where it ends
   * before the range does for longer, it was truncated: what is not there is passed over.
   */
  shortMsMax: number;
}

const LIMITS: ReadLimits = { silenceMsMax: 60_000, shortMsMax: 10_000 };
const BEGIN = -2;

interface Progress extends PartitionBounds {
  /** The offset to ask for next. */
  at: number;
  /** Since when the partition ends before that. */
  shortSinceMs: number | null;
}

/**
 * Reads ranges once, by partition and offset, without a group: a few megabytes of each broker at a
 * time, and the next when these were taken. Each partition goes on where the last batch's own
 * numbers say; offsets that have no message (compacted, dropped, markers) are passed over.
 * @throws UnavailableError when there was no answer that helped for a minute, or a topic may not be
 * read. Ends, without an error, when the signal aborts.
 */
export async function* readRanges(
  wire: Wire,
  ranges: readonly PartitionBounds[],
  signal: AbortSignal,
  description: string,
  limits: ReadLimits = LIMITS,
): AsyncGenerator<ReceivedMessage[]> {
  const left = new Map<string, Progress>();
  for (const range of ranges) {
    if (range.begin >= range.end) continue;
    left.set(keyOf(range), { ...range, at: range.begin, shortSinceMs: null });
  }
  let heardMs = performance.now();
  while (left.size > 0 && !signal.aborted) {
    let trouble: string | null = null;
    let isAnswered = false;
    try {
      for (const answer of await fetchOnce(wire, left, signal)) {
        const progress = left.get(keyOf(answer));
        if (progress === undefined) continue;
        if (answer.errorCode !== NO_ERROR) {
          trouble = await refused(wire, progress, answer, signal);
        } else {
          const before = progress.at;
          for await (const messages of messagesOf(wire, progress, answer)) {
            yield messages;
            if (signal.aborted) return;
          }
          if (progress.at > before) isAnswered = true;
        }
        if (isOver(progress, answer, limits.shortMsMax)) left.delete(keyOf(answer));
        else rotate(left, progress);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof UnavailableError) throw error;
      trouble = (error as Error).message;
    }
    // What was taken of us took its time: silence counts from here.
    if (isAnswered) heardMs = performance.now();
    if (performance.now() - heardMs > limits.silenceMsMax) {
      const why = trouble === null ? '' : ` (${trouble})`;
      throw new UnavailableError(
        `${description} gives no answer any more${why}; check that it runs, and start again`,
      );
    }
    if (trouble !== null) await lookAgain(wire, left, signal);
  }
}

/** One question to the leader of each partition. A failed one leaves its partitions out. */
async function fetchOnce(
  wire: Wire,
  left: ReadonlyMap<string, Progress>,
  signal: AbortSignal,
): Promise<FetchAnswer[]> {
  await wire.leaders.know(topicsOf(left), signal);
  const byNode = new Map<number, Progress[]>();
  for (const progress of left.values()) {
    const node = wire.leaders.leaderOf(progress);
    if (node !== null) byNode.set(node, [...(byNode.get(node) ?? []), progress]);
  }
  if (byNode.size === 0) throw new Error('no broker leads the partitions');
  const answers = await Promise.allSettled(
    [...byNode].map(async ([node, asked]) => {
      const questions = asked.map(({ topic, partition, at }) => ({ topic, partition, offset: at }));
      return await wire.brokers.fetch(node, questions, FETCH_WAIT_MS, signal);
    }),
  );
  const failed = answers.find((answer) => answer.status === 'rejected');
  const good = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (failed === undefined) return good;
  if (good.length === 0) throw failed.reason;
  await lookAgain(wire, left, signal);
  return good;
}

/** Moves the progress along with each batch; yields what lies in the range. */
async function* messagesOf(
  wire: Wire,
  progress: Progress,
  answer: FetchAnswer,
): AsyncGenerator<ReceivedMessage[]> {
  for await (const { nextOffset, messages } of readBatches(wire.inside, answer)) {
    const { at, end } = progress;
    const inRange = messages().filter(({ offset }) => offset >= at && offset < end);
    progress.at = Math.max(at, nextOffset);
    if (inRange.length > 0) yield inRange;
    if (progress.at >= end) return;
  }
}

/** What an answer with an error means; returns its text. */
async function refused(
  wire: Wire,
  progress: Progress,
  answer: FetchAnswer,
  signal: AbortSignal,
): Promise<string> {
  const { errorCode, topic } = answer;
  if (errorCode === TOPIC_AUTHORIZATION_FAILED) throw notAllowed(topic);
  if (errorCode === OFFSET_OUT_OF_RANGE) {
    const begins = await wire.offsets([{ ...progress, timestampMs: BEGIN }], signal);
    const begin = begins.get(keyOf(progress)) ?? 0;
    // What was dropped while it was read; else the log ends before.
    if (begin > progress.at) progress.at = begin;
    else noteShort(progress);
  }
  return wire.inside.errorOf(errorCode).message;
}

function isOver(progress: Progress, { errorCode, end }: FetchAnswer, shortMsMax: number): boolean {
  if (progress.at >= progress.end) return true;
  if (errorCode === NO_ERROR) {
    if (progress.at < end) progress.shortSinceMs = null;
    else noteShort(progress);
  }
  const { shortSinceMs } = progress;
  return shortSinceMs !== null && performance.now() - shortSinceMs > shortMsMax;
}

function noteShort(progress: Progress): void {
  progress.shortSinceMs ??= performance.now();
}

/** The first ones asked for have the room in an answer: next time it is others. */
function rotate(left: Map<string, Progress>, progress: Progress): void {
  left.delete(keyOf(progress));
  left.set(keyOf(progress), progress);
}

async function lookAgain(
  wire: Wire,
  left: ReadonlyMap<string, Progress>,
  signal: AbortSignal,
): Promise<void> {
  await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
  await wire.leaders.refresh(topicsOf(left), signal).catch(() => undefined);
}

const topicsOf = (left: ReadonlyMap<string, Progress>): string[] => [
  ...new Set([...left.values()].map(({ topic }) => topic)),
];
