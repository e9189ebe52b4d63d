import { describe, expect, it } from 'vitest';
import {
  type Chosen,
  type Held,
  type ReplaySpan,
  checkSpan,
  choose,
} from '../../src/commands/replay-span.ts';
import { UsageError } from '../../src/errors.ts';

const at = (time: string): number => Date.parse(`2026-01-13T${time}Z`);
const NOW = at('18:00:00');
const CHANGES = 'page_views.user_changes';

const part = (topic: string, partition: number, begin: number, times: string[]): Held => ({
  topic,
  partition,
  begin,
  end: begin + times.length,
  firstMs: times.length === 0 ? null : at(times[0] ?? ''),
  lastMs: times.length === 0 ? null : at(times.at(-1) ?? ''),
});

/** Messages at 10:00 and 12:00 in one partition, 11:00 and 14:00 in another, a change at 13:00. */
const WHOLE = [
  part('page_views', 0, 0, ['10:00:00', '12:00:00']),
  part('page_views', 1, 0, ['11:00:00', '14:00:00']),
  part('page_views', 2, 0, []),
  part(CHANGES, 0, 0, ['13:00:00']),
];
/** The same, where retention has removed what was before. */
const CUT = WHOLE.map((one) => ({ ...one, begin: one.begin + 50, end: one.end + 50 }));
const HOLD = `page_views and ${CHANGES} hold messages from 2026-01-13T10:00:00.000Z to 2026-01-13T14:00:00.000Z`;

/** The offset of the first message at or after a time, where there is one a two hours. */
function offsetsAt(held: readonly Held[], ms: number | null): Map<string, number> {
  if (ms === null) return new Map();
  return new Map(
    held.map(({ topic, partition, begin, end, firstMs, lastMs }) => {
      if (firstMs === null || lastMs === null || ms > lastMs) return [`${topic}/${partition}`, end];
      return [`${topic}/${partition}`, ms <= firstMs ? begin : end - 1];
    }),
  );
}

function ask(held: readonly Held[], asked: Partial<ReplaySpan>): Chosen {
  const span: ReplaySpan = { fromMs: null, fromOffsets: [], toMs: null, ...asked };
  checkSpan(span);
  const { fromMs, toMs, fromOffsets } = span;
  const starts =
    fromMs === null
      ? new Map(fromOffsets.map((one) => [`page_views/${one.partition}`, one.offset]))
      : offsetsAt(held, fromMs);
  return choose(span, held, starts, offsetsAt(held, toMs === null ? null : toMs + 1), NOW);
}

const from = (time: string): { fromMs: number } => ({ fromMs: at(time) });
const places = (...list: [number, number][]) => ({
  fromOffsets: list.map(([partition, offset]) => ({ partition, offset })),
});
const ranges = ({ ranges: list }: Chosen): string[] =>
  list.map(({ topic, partition, begin, end }) => `${topic}/${partition} ${begin}-${end}`);

function refusal(held: readonly Held[], asked: Partial<ReplaySpan>): string {
  try {
    ask(held, asked);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error('it was allowed');
}

describe('a replay from a time', () => {
  it('reads what is at or after it, up to --to with its own millisecond', () => {
    expect(ranges(ask(WHOLE, from('12:00:00')))).toEqual([
      'page_views/0 1-2',
      'page_views/1 1-2',
      `${CHANGES}/0 0-1`,
    ]);
    expect(ranges(ask(WHOLE, { ...from('12:00:00'), toMs: at('13:00:00') }))).toEqual([
      'page_views/0 1-2',
      `${CHANGES}/0 0-1`,
    ]);
    expect(ranges(ask(WHOLE, { ...from('14:00:00'), toMs: at('17:00:00') }))).toHaveLength(1);
  });

  it('after the newest message is wrong use, which names what there is', () => {
    expect(refusal(WHOLE, from('14:00:01'))).toBe(
      `--from 2026-01-13T14:00:01.000Z is after the newest message; ${HOLD}`,
    );
    expect(refusal(WHOLE, { fromMs: NOW + 1 })).toContain('is after the newest message');
  });

  it('before the oldest message is everything where the topics have their beginning', () => {
    expect(ranges(ask(WHOLE, from('01:00:00')))).toHaveLength(3);
    expect(ask(WHOLE, from('01:00:00')).warnings).toEqual([]);
  });

  it('before the oldest message is wrong use where older ones were removed', () => {
    expect(refusal(CUT, from('09:59:59'))).toBe(
      `--from 2026-01-13T09:59:59.000Z is before the oldest message, and older ones were removed; ${HOLD}`,
    );
    const { warnings } = ask(CUT, from('10:30:00'));
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toBe(
      'partition 1 of page_views begins at 2026-01-13T11:00:00.000Z: what was before that was removed',
    );
  });

  it('has an end after its beginning, and not before all messages', () => {
    expect(refusal(WHOLE, { ...from('12:00:00'), toMs: at('11:00:00') })).toBe(
      '--to 2026-01-13T11:00:00.000Z is before --from 2026-01-13T12:00:00.000Z',
    );
    expect(refusal(WHOLE, { ...from('01:00:00'), toMs: at('02:00:00') })).toContain(
      `is before the oldest message; ${HOLD}`,
    );
  });

  it('may find no message between, and none in topics that are empty', () => {
    expect(ask(WHOLE, { ...from('12:10:00'), toMs: at('12:20:00') }).ranges).toEqual([]);
    const empty = WHOLE.map((one) => part(one.topic, one.partition, 0, []));
    expect(ask(empty, from('10:00:00')).ranges).toEqual([]);
    expect(refusal(empty, { fromMs: NOW + 1 })).toMatch(/is in the future; .* hold no messages$/);
  });
});

describe('a replay from offsets', () => {
  const VIEWS = WHOLE.slice(0, 3);

  it('reads the partitions named, from there on', () => {
    expect(ranges(ask(VIEWS, places([1, 1])))).toEqual(['page_views/1 1-2']);
    expect(ranges(ask(VIEWS, places([0, 0], [1, 0], [2, 0])))).toHaveLength(2);
  });

  it.each([[[3, 0]], [[0, 2]], [[2, 1]]] as [number, number][][])(
    'that are not there is wrong use, which names what there is: %s',
    (place) => {
      const [partition, offset] = place;
      expect(refusal(VIEWS, places(place))).toBe(
        `--from-offset ${partition}:${offset} is not in the topic: page_views holds the offsets 0:0 to 0:1, 1:0 to 1:1, and none in the partitions 2`,
      );
    },
  );

  it('that were removed is wrong use; all of them are named at once', () => {
    expect(refusal(CUT.slice(0, 3), places([0, 49], [1, 50], [7, 0]))).toMatch(
      /^--from-offset 0:49, 7:0 is not in the topic: page_views holds the offsets 0:50 to 0:51, 1:50/,
    );
  });

  it('that are after --to is wrong use', () => {
    expect(refusal(VIEWS, { ...places([1, 1]), toMs: at('12:00:00') })).toBe(
      '--to 2026-01-13T12:00:00.000Z is before the messages at --from-offset',
    );
  });
});
