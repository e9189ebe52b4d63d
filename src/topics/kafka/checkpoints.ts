import { UnavailableError } from '../../errors.ts';
import type { PartitionBounds } from '../port.ts';
import { readRanges } from './read-ranges.ts';
import { keyOf } from '../key-of.ts';
import type { Wire } from './wire/wire.ts';

/** The newest ones are looked through first: the topic may hold many until it is compacted. */
const FIRST_WINDOW = 1_000;
const GROWTH = 8;

/**
 * The last checkpoint of `source`, or null where the topic has none. Waits until the topic is there
 * and led: one that can't be seen for a moment must not look like one without a checkpoint.
 * @throws UnavailableError where it isn't, or can't be read.
 */
export async function loadCheckpoint(
  wire: Wire,
  topic: string,
  source: string,
  signal: AbortSignal,
  description: string,
): Promise<string | null> {
  await wire.leaders.wait([topic], signal);
  const partitions = await wire.known([topic], signal);
  const bounds = await wire.bounds(partitions, signal);
  let newest: { value: string; timestampMs: number } | null = null;
  for (const at of partitions) {
    const range = { ...at, ...(bounds.get(keyOf(at)) ?? { begin: 0, end: 0 }) };
    const found = await newestIn(wire, range, source, signal, description);
    // One key may lie in two partitions, where some were added.
    if (found !== null && found.timestampMs >= (newest?.timestampMs ?? 0)) newest = found;
  }
  return newest?.value ?? null;
}

/** Looks through a partition backwards, window after window. */
async function newestIn(
  wire: Wire,
  { begin, end, ...at }: PartitionBounds,
  source: string,
  signal: AbortSignal,
  description: string,
): Promise<{ value: string; timestampMs: number } | null> {
  let upTo = end;
  for (let window = FIRST_WINDOW; upTo > begin; window *= GROWTH) {
    const from = Math.max(begin, upTo - window);
    let found: { value: string; timestampMs: number } | null = null;
    const range = { ...at, begin: from, end: upTo };
    for await (const messages of readRanges(wire, [range], signal, description)) {
      for (const { key, value, timestampMs } of messages) {
        if (key === source && value !== null) found = { value, timestampMs };
      }
    }
    // A read that was cut short ends like one that found nothing.
    if (signal.aborted) throw new UnavailableError('The topics were closed while they were read');
    if (found !== null) return found;
    upTo = from;
  }
  return null;
}
