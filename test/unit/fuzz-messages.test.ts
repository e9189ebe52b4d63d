import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type Reading, readMessage } from '../../src/deliver/read-message.ts';
import { viewInserted } from '../../src/deliver/trigger.ts';
import type { TopicFormat } from '../../src/settings/types.ts';

const FORMATS: readonly TopicFormat[] = ['page_view', 'debezium', 'maxwell'];
const VIEW = { id: 123, user_id: 7, page: 'pricing', event_time: '2026-01-13T14:30:45Z' };
const VALID: Record<TopicFormat, object> = {
  page_view: VIEW,
  debezium: { before: null, after: VIEW, source: { table: 'page_views' }, op: 'c' },
  maxwell: { database: 'd', table: 'page_views', type: 'insert', data: VIEW },
};
const READ = {
  kind: 'triggers',
  triggers: [{ userId: '7', cause: viewInserted('123'), page: 'pricing' }],
};
/** Against a hang: a busy machine takes a multiple of the usual milliseconds. */
const MS_MAX = 20_000;

/** Reads it in every form; time is bounded, and what comes is one of the three kinds. */
function readAll(value: string): Reading[] {
  return FORMATS.map((format) => {
    const began = performance.now();
    const reading = readMessage({ value }, format);
    expect(performance.now() - began).toBeLessThan(MS_MAX);
    if (reading.kind === 'triggers') {
      expect(reading.triggers.length).toBeGreaterThan(0);
      for (const { userId, cause } of reading.triggers) {
        expect(userId).toMatch(/^\d{1,20}$/);
        if (cause.kind === 'view') expect(cause.id).toMatch(/^\d{1,20}$/);
      }
    } else expect(['nothing', 'unreadable']).toContain(reading.kind);
    return reading;
  });
}

const nameOfPrototype = Object.getOwnPropertyNames(Object.prototype).join();
const expectCleanPrototype = (): void => {
  expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(nameOfPrototype);
  expect(({} as Record<string, unknown>)['op']).toBeUndefined();
};
afterEach(expectCleanPrototype);

describe('readMessage', () => {
  it('reads arbitrary bytes as one of its three answers', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        readAll(Buffer.from(bytes).toString());
      }),
      { numRuns: 1000 },
    );
    fc.assert(fc.property(fc.json({ depthSize: 'large' }), (text) => void readAll(text)));
  });

  it('reads a valid message with a byte changed, cut off or put in', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...FORMATS),
        fc.nat(400),
        fc.constantFrom('"', '{', '}', '[', ',', '\\', '\0', '9', '-', 'e', 'é', '\uD800', ''),
        fc.nat(3),
        (format, at, put, cut) => {
          const text = JSON.stringify(VALID[format]);
          const index = at % text.length;
          readAll(text.slice(0, index) + put + text.slice(index + cut));
        },
      ),
      { numRuns: 3000 },
    );
  });

  it.each(FORMATS)(
    'reads a valid %s message the same beside fields of any name and value',
    (format) => {
      const names = fc.constantFrom(
        '__proto__',
        'constructor',
        'toString',
        'hasOwnProperty',
        'x',
        '\0',
      );
      fc.assert(
        fc.property(fc.array(fc.tuple(names, fc.jsonValue())), (fields) => {
          const more = fields.map(
            ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)},`,
          );
          const value = `{${more.join('')}${JSON.stringify(VALID[format]).slice(1)}`;
          expect(readMessage({ value }, format)).toEqual(READ);
        }),
      );
    },
  );

  it('is not brought down by depth', () => {
    const deep = 100_000;
    for (const [open, close] of [
      ['[', ']'],
      ['{"after":', '}'],
      ['{"payload":', '}'],
      ['{"__proto__":', '}'],
    ]) {
      for (const core of ['1', '12345678901234567890', '']) {
        readAll(String(open).repeat(deep) + core + String(close).repeat(deep));
        readAll(String(open).repeat(deep) + core);
      }
    }
    const around = `{"x":${'['.repeat(deep)}1234567890123456789${']'.repeat(deep)},${JSON.stringify(VIEW).slice(1)}`;
    expect(['triggers', 'unreadable']).toContain(readAll(around)[0]?.kind);
  });

  // Guards isSafeInteger in id(): a rounded id would name another user.
  it('takes an id to the digit or not at all', () => {
    const idOf = (id: string): string | null => {
      const reading = readMessage({ value: `{"user_id":${id},"cause":"x"}` }, 'page_view');
      return reading.kind === 'triggers' ? (reading.triggers[0]?.userId ?? null) : null;
    };
    expect(idOf('18446744073709551615')).toBe('18446744073709551615');
    for (const id of [
      '18446744073709551616',
      '9.007199254740993e15',
      '1e400',
      '-1',
      '1.5',
      '1e17',
      '9'.repeat(10_000),
      `"${'9'.repeat(100_000)}"`,
      '"0x7"',
      '" 7"',
      '"7\\n"',
      '[7]',
      '{"toString":7}',
      'true',
      '"٧"',
    ]) {
      expect([id.slice(0, 30), idOf(id)]).toEqual([id.slice(0, 30), null]);
    }
    expect(idOf('1,"user_id":2')).toBe('2');
  });

  // Guards the check for no row in changeRequests: such a change would be passed over in silence.
  it('calls a change without a row unreadable', () => {
    const value = JSON.stringify({
      op: 'u',
      before: null,
      after: null,
      source: { table: 'customers' },
    });
    expect(readMessage({ value }, 'debezium').kind).toBe('unreadable');
    const problem = { kind: 'unreadable', problem: 'the row is not an object' };
    const empty = JSON.stringify({ table: 'customers', type: 'update', data: [] });
    expect(readMessage({ value: empty }, 'maxwell')).toEqual(problem);
  });
});
