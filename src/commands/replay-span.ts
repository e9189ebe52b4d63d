import { UsageError } from '../errors.ts';
import { keyOf } from '../topics/key-of.ts';
import type { PartitionBounds, Topics } from '../topics/port.ts';

/** Which part of the topics is asked for. */
export interface ReplaySpan {
  /** Epoch ms; null where `fromOffsets` says it. */
  fromMs: number | null;
  /** Of the page views topic. */
  fromOffsets: readonly { partition: number; offset: number }[];
  /** Epoch ms; null: the end as it is now. */
  toMs: number | null;
}

/** A partition, and the times of its oldest and newest message; null: none, or not known. */
export interface Held extends PartitionBounds {
  firstMs: number | null;
  lastMs: number | null;
}

/** By `topic/partition`. */
export type Offsets = ReadonlyMap<string, number>;

export interface Chosen {
  ranges: PartitionBounds[];
  /** What is missing of it, in sentences. */
  warnings: string[];
}

/** Beside a message there may be offsets without one (markers of transactions, compaction). */
const EDGE_OFFSETS = 10;
const PARTITIONS_SHOWN_MAX = 20;

const iso = (ms: number): string => new Date(ms).toISOString();
const isEmpty = ({ begin, end }: PartitionBounds): boolean => begin >= end;

/** @throws UsageError where it ends before it begins. */
export function checkSpan({ fromMs, toMs }: ReplaySpan): void {
  if (fromMs !== null && toMs !== null && toMs < fromMs)
    throw new UsageError(`--to ${iso(toMs)} is before --from ${iso(fromMs)}`);
}

/** Adds the times, by reading some messages at both ends of each partition. */
export async function withTimes(
  topics: Pick<Topics, 'read'>,
  bounds: readonly PartitionBounds[],
  signal: AbortSignal,
): Promise<Held[]> {
  const edge = async (ranges: PartitionBounds[]): Promise<Map<string, number[]>> => {
    const times = new Map<string, number[]>();
    for await (const messages of topics.read(ranges, signal)) {
      for (const message of messages) {
        const key = keyOf(message);
        times.set(key, [...(times.get(key) ?? []), message.timestampMs]);
      }
    }
    return times;
  };
  const firsts = await edge(
    bounds.map((at) => ({ ...at, end: Math.min(at.end, at.begin + EDGE_OFFSETS) })),
  );
  const lasts = await edge(
    bounds.map((at) => ({ ...at, begin: Math.max(at.begin, at.end - EDGE_OFFSETS) })),
  );
  return bounds.map((at) => ({
    ...at,
    firstMs: firsts.get(keyOf(at))?.at(0) ?? null,
    lastMs: lasts.get(keyOf(at))?.reduce((a, b) => Math.max(a, b)) ?? null,
  }));
}

/**
 * What is to be read. `starts` and `ends` are the offsets that the times stand for. A `--from`
 * before the oldest message means everything where the topics still have their beginning; a `--to`
 * after the newest one means the end. Topics without a message are no fault.
 * @throws UsageError for a time or an offset outside what the topics hold, naming that.
 */
export function choose(
  span: ReplaySpan,
  held: readonly Held[],
  starts: Offsets,
  ends: Offsets,
  nowMs: number,
): Chosen {
  checkOffsets(span, held);
  const warnings = checkFrom(span, held, starts, nowMs);
  checkTo(span, held);
  const begun = held.flatMap((at) => {
    const start = starts.get(keyOf(at));
    return start === undefined ? [] : [{ ...at, begin: Math.max(at.begin, start) }];
  });
  const ranges = begun.flatMap(({ topic, partition, begin, end }) => {
    const last = Math.min(end, ends.get(keyOf({ topic, partition })) ?? end);
    return begin < last ? [{ topic, partition, begin, end: last }] : [];
  });
  if (ranges.length === 0 && span.fromMs === null && begun.some((at) => !isEmpty(at)))
    throw new UsageError(`--to ${iso(span.toMs ?? nowMs)} is before the messages at --from-offset`);
  return { ranges, warnings };
}

function checkOffsets({ fromOffsets }: ReplaySpan, held: readonly Held[]): void {
  const wrong = fromOffsets.filter(({ partition, offset }) => {
    const at = held.find((one) => one.partition === partition);
    return at === undefined || offset < at.begin || offset > Math.max(at.begin, at.end - 1);
  });
  if (wrong.length === 0) return;
  const named = wrong.map(({ partition, offset }) => `${partition}:${offset}`).join(', ');
  throw new UsageError(`--from-offset ${named} is not in the topic: ${offsetsText(held)}`);
}

/** `page_views holds the offsets 0:0 to 0:41, 1:12 to 1:38, and none in the partitions 2, 3`. */
function offsetsText(held: readonly Held[]): string {
  const topic = held[0]?.topic ?? '';
  const full = held.filter((at) => !isEmpty(at));
  if (full.length === 0) return `${topic} holds no messages in its ${held.length} partitions`;
  const empty = held.filter(isEmpty).map(({ partition }) => partition);
  const offsets = full.map(
    ({ partition, begin, end }) => `${partition}:${begin} to ${partition}:${end - 1}`,
  );
  const none = empty.length === 0 ? '' : `, and none in the partitions ${shortList(empty)}`;
  return `${topic} holds the offsets ${shortList(offsets)}${none}`;
}

function shortList(items: readonly (string | number)[]): string {
  const shown = items.slice(0, PARTITIONS_SHOWN_MAX).join(', ');
  return items.length > PARTITIONS_SHOWN_MAX ? `${shown}, … (${items.length})` : shown;
}

function checkFrom(
  { fromMs }: ReplaySpan,
  held: readonly Held[],
  starts: Offsets,
  nowMs: number,
): string[] {
  if (fromMs === null) return [];
  const full = held.filter((at) => !isEmpty(at));
  if (full.length === 0 && fromMs > nowMs)
    throw new UsageError(`--from ${iso(fromMs)} is in the future; ${timesText(held)}`);
  if (full.length > 0 && full.every((at) => (starts.get(keyOf(at)) ?? at.end) >= at.end))
    throw new UsageError(`--from ${iso(fromMs)} is after the newest message; ${timesText(held)}`);
  const cut = full.filter(({ begin, firstMs }) => begin > 0 && (firstMs ?? 0) > fromMs);
  const oldest = oldestOf(held);
  if (cut.length > 0 && oldest !== null && fromMs < oldest) {
    throw new UsageError(
      `--from ${iso(fromMs)} is before the oldest message, and older ones were removed; ${timesText(held)}`,
    );
  }
  return cut.map(
    ({ topic, partition, firstMs }) =>
      `partition ${partition} of ${topic} begins at ${iso(firstMs ?? 0)}: what was before that was removed`,
  );
}

function checkTo({ toMs }: ReplaySpan, held: readonly Held[]): void {
  const oldest = oldestOf(held);
  if (toMs !== null && oldest !== null && toMs < oldest)
    throw new UsageError(`--to ${iso(toMs)} is before the oldest message; ${timesText(held)}`);
}

function oldestOf(held: readonly Held[]): number | null {
  const times = held.flatMap(({ firstMs }) => (firstMs === null ? [] : [firstMs]));
  return times.length === 0 ? null : Math.min(...times);
}

/** `page_views and page_views.user_changes hold messages from … to …`. */
function timesText(held: readonly Held[]): string {
  const topics = [...new Set(held.map(({ topic }) => topic))];
  const holds = `${topics.join(' and ')} ${topics.length === 1 ? 'holds' : 'hold'}`;
  const oldest = oldestOf(held);
  const newest = held.flatMap(({ lastMs }) => (lastMs === null ? [] : [lastMs]));
  if (oldest === null || newest.length === 0) return `${holds} no messages`;
  return `${holds} messages from ${iso(oldest)} to ${iso(Math.max(...newest))}`;
}
