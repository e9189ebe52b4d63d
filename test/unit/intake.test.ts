import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import type { Reconciler } from '../../src/deliver/reconciler.ts';
import { Intake, type IntakeDeps } from '../../src/deliver/intake.ts';
import type { Trigger } from '../../src/deliver/trigger.ts';
import type { ReceivedMessage } from '../../src/topics/port.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapMegabytes(): number {
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

const MESSAGES = 4_000;
const BYTES = 25_000;

/** A view with a large field beside those that matter, as its bytes come from a topic. */
function message(offset: number): ReceivedMessage {
  const value = JSON.stringify({
    id: offset,
    user_id: offset,
    page: 'pricing',
    event_time: '2026-01-01T00:00:00Z',
    extra: '-'.repeat(BYTES),
  });
  return {
    topic: 'views',
    partition: 0,
    offset,
    key: String(offset),
    value: Buffer.from(value).toString(),
    timestampMs: 0,
    headers: { position: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${offset}` },
  };
}

/** Of pricing views; what is to be looked at goes to `triggers`, and there is always room. */
function intakeFor(
  triggers: Trigger[],
  more: Partial<Pick<IntakeDeps, 'onOutcome' | 'onUnreadable' | 'clock'>> = {},
): Intake {
  return new Intake({
    reconciler: {
      accept: (accepted: readonly Trigger[]) => void triggers.push(...accepted),
      room: () => Promise.resolve(),
    } as unknown as Reconciler,
    format: 'page_view',
    model: DEFAULT_MODEL,
    pageViewsTopic: 'views',
    pages: ['pricing'],
    lookbackDays: 7,
    deadLetters: { add: () => Promise.resolve() },
    onOutcome: () => undefined,
    onUnreadable: () => undefined,
    clock: { now: () => 0, epochMs: () => 0 },
    ...more,
  });
}

describe('Intake', () => {
  // A clock that is weeks ahead: of the machine that asks for looks, and of this one.
  it('takes a view for old by the clock of the database alone', async () => {
    const triggers: Trigger[] = [];
    const wrongMs = Date.parse('2026-03-01T00:00:00Z');
    const intake = intakeFor(triggers, { clock: { now: () => 0, epochMs: () => wrongMs } });
    const look = '{"user_id":1,"cause":"backfill"}';
    const value =
      '{"id":2,"user_id":2,"page":"pricing","device":null,"browser":null,"location":null,"event_time":"2026-01-01T00:00:00Z"}';
    const view = { ...message(2), value, timestampMs: Date.parse('2026-01-01T00:00:01Z') };
    await intake.accept([
      { ...message(1), topic: 'user_changes', value: look, timestampMs: wrongMs },
      view,
    ]);
    expect(triggers.map(({ userId }) => userId)).toEqual(['1', '2']);
    // Eleven days later by the database, it is.
    const late = { ...view, offset: 3, timestampMs: Date.parse('2026-01-12T00:00:00Z') };
    await intake.accept([late, { ...view, offset: 4 }]);
    expect(triggers).toHaveLength(2);
  });

  // Guards #finisher: what is unfinished is kept, its messages are not.
  it('keeps of a message that is unfinished only what is needed to finish it', async () => {
    const triggers: Trigger[] = [];
    const intake = intakeFor(triggers);
    const before = heapMegabytes();
    for (let offset = 0; offset < MESSAGES; offset += 100) {
      await intake.accept(Array.from({ length: 100 }, (_, i) => message(offset + i)));
    }
    const kept = heapMegabytes() - before;
    expect(triggers).toHaveLength(MESSAGES);
    // Whole, they are 100 MB.
    expect(kept).toBeLessThan((MESSAGES * 1_000) / 2 ** 20);
    for (const trigger of triggers) trigger.finish('sent');
    expect(intake.progress.takeMoved()).toEqual([
      { topic: 'views', partition: 0, offset: MESSAGES },
    ]);
  }, 60_000);

  // Guards #scan and the two clocks of #arrival.
  it('passes over what cannot change the answer, and finishes it in its order', async () => {
    const DAY = 86_400_000;
    const NOW = Date.UTC(2026, 0, 31);
    const triggers: Trigger[] = [];
    const told: [string, number][] = [];
    let nowMs = NOW;
    const intake = intakeFor(triggers, {
      onOutcome: (outcome, messages) => told.push([outcome, messages]),
      clock: { now: () => 0, epochMs: () => nowMs },
    });
    let offset = 0;
    const view = (page: string, viewedMs: number, timestampMs = NOW): ReceivedMessage => {
      const time = `${new Date(viewedMs).toISOString().slice(0, 19)}Z`;
      const value = `{"id":1,"user_id":2,"page":"${page}","device":null,"browser":"x","location":null,"event_time":"${time}"}`;
      return {
        topic: 'views',
        partition: 0,
        offset: offset++,
        key: '2',
        value,
        timestampMs,
        headers: {},
      };
    };
    await intake.accept([
      view('home', NOW),
      view('home', NOW),
      view('Pricing', NOW - 8 * DAY),
      view('pricing', NOW - 40 * DAY),
      view('home', NOW),
    ]);
    await Promise.resolve();
    expect(triggers).toHaveLength(1);
    expect(told).toEqual([['ineligible', 4]]);
    expect(intake.progress.takeMoved()).toEqual([{ topic: 'views', partition: 0, offset: 2 }]);
    triggers[0]?.finish('sent');
    expect(intake.progress.takeMoved()).toEqual([{ topic: 'views', partition: 0, offset: 5 }]);
    // Our clock has jumped ahead: what the source committed now is looked at.
    nowMs = NOW + 400 * DAY;
    await intake.accept([view('pricing', NOW)]);
    // The source's clock did: the same.
    nowMs = NOW;
    await intake.accept([view('pricing', NOW, NOW + 400 * DAY)]);
    expect(triggers).toHaveLength(3);
  });

  // Guards scanOwnView: a blank before the message leaves it to the parser.
  it('says the same of a message that is scanned and of one that is parsed, but of its age', async () => {
    const NOW = Date.UTC(2026, 0, 31);
    const OLD = '2025-12-01T00:00:00Z';
    const text = fc.oneof(
      fc.constantFrom(
        'pricing',
        'PRICING ',
        'home',
        'pric\u00ecng',
        '',
        '"',
        '\\',
        '\n',
        '\u2028',
        '{}',
      ),
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constant(null),
    );
    const id = fc.oneof(
      fc.nat(),
      fc.constantFrom<unknown>(
        0,
        -1,
        1.5,
        '7',
        null,
        999_999_999_999,
        2 ** 53,
        '18446744073709551615',
      ),
    );
    const time = fc.oneof(fc.constantFrom('2026-01-30T14:30:45Z', OLD, '2025-12-01'), text);
    const fields = {
      id,
      user_id: id,
      page: text,
      device: text,
      browser: text,
      location: text,
      event_time: time,
    };
    const view = fc.record(fields, { requiredKeys: ['id', 'user_id'] });
    const written = fc.oneof(
      fc.record(fields).map((row) => JSON.stringify(row)),
      view.map((row) => JSON.stringify(row)),
      view.map((row) => JSON.stringify(Object.fromEntries(Object.entries(row).toReversed()))),
      view.map((row) => JSON.stringify(row, null, 1)),
      // As JSON may also be written: every letter escaped, a key twice.
      view.map((row) => JSON.stringify(row).replaceAll('pricing', '\\u0070ricing')),
      fc.tuple(view, id).map(([row, other]) => {
        return JSON.stringify(row).replace(/\}$/, `,"user_id":${JSON.stringify(other)}}`);
      }),
    );
    const taken = async (value: string) => {
      const triggers: Trigger[] = [];
      const told: [string, number][] = [];
      const letters: string[] = [];
      const intake = intakeFor(triggers, {
        onOutcome: (outcome, messages) => told.push([outcome, messages]),
        onUnreadable: ({ reason }) => letters.push(reason),
        clock: { now: () => 0, epochMs: () => NOW },
      });
      const headers = { position: 'p' };
      const at = { topic: 'views', partition: 0, offset: 7, timestampMs: NOW };
      await intake.accept([{ ...at, key: '2', value, headers }]);
      await Promise.resolve();
      const asked = triggers.map((trigger) => ({ ...trigger, finish: null }));
      return { asked, told, letters, moved: intake.progress.takeMoved() };
    };
    await fc.assert(
      fc.asyncProperty(written, async (value) => {
        const found = await taken(value);
        if (found.told[0]?.[0] === 'ineligible' && value.includes(OLD)) return;
        expect(found).toEqual(await taken(` ${value}`));
      }),
      { numRuns: 400 },
    );
  });
});
