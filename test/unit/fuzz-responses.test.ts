import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bulkFailCount,
  bulkFailures,
  bulkKey,
  disallowedEvents,
  itemOutcome,
} from '../../src/sinks/iterable/read-bulk.ts';
import {
  cleanMessage,
  readChannels,
  readResponse,
  readRetryAfter,
} from '../../src/sinks/iterable/read-response.ts';
import { hasUsableEmail } from '../../src/sinks/iterable/payloads.ts';
import { oneLine, plainJson, secretRemover, withoutAddresses } from '../../src/plain-text.ts';
import type { EligibleUser } from '../../src/rule/eligible-user.ts';

const NOW = Date.UTC(2026, 0, 1);
/** Against a hang: a busy machine takes a multiple of the usual milliseconds. */
const MS_MAX = 20_000;
const SUCCESS = '{"msg":"","code":"Success","params":null}';
// oxlint-disable-next-line no-control-regex
const UNPRINTABLE = /[\0-\x1F\x7F-\x9F\u2028-\u202E\u2066-\u2069]/;

function inTime<T>(body: () => T): T {
  const began = performance.now();
  const result = body();
  expect(performance.now() - began).toBeLessThan(MS_MAX);
  return result;
}

function readAll(status: number, text: string): void {
  for (const shape of ['single', 'bulk'] as const) readAs(shape, status, text);
  inTime(() => readChannels(status, null, text, NOW));
}

function readAs(shape: 'single' | 'bulk', status: number, text: string): void {
  const reply = inTime(() => readResponse(status, null, text, NOW, shape));
  if (reply.kind === 'ok' || reply.kind === 'refused') {
    // What is kept goes to files as JSON.
    JSON.stringify(reply.body);
    for (const [email, list] of inTime(() => bulkFailures(reply.body))) {
      const outcome = itemOutcome(reply, list);
      if (outcome.kind === 'refused') expect(outcome.code ?? '').not.toMatch(UNPRINTABLE);
      expect(email).toBe(bulkKey(email));
    }
    expect(Number.isNaN(bulkFailCount(reply.body))).toBe(false);
    disallowedEvents(reply.body);
  }
  if ('message' in reply) {
    expect(reply.message).not.toMatch(UNPRINTABLE);
    expect(reply.message.length).toBeLessThanOrEqual(300);
  }
}

describe("the readers of Iterable's answers", () => {
  const status = fc.constantFrom(200, 202, 301, 400, 401, 408, 429, 500, 599);

  it('take arbitrary bytes, arbitrary JSON and damaged answers', () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString());
    const damaged = fc
      .tuple(fc.nat(SUCCESS.length), fc.string({ maxLength: 3 }), fc.nat(4))
      .map(([at, put, cut]) => SUCCESS.slice(0, at) + put + SUCCESS.slice(at + cut));
    const bulk = fc
      .record(
        {
          successCount: fc.jsonValue(),
          failCount: fc.jsonValue(),
          invalidEmails: fc.jsonValue(),
          failedUpdates: fc.dictionary(
            fc.string().map((name) => `${name}Emails`),
            fc.jsonValue(),
          ),
          disallowedEventNames: fc.jsonValue(),
        },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value));
    fc.assert(fc.property(status, fc.oneof(bytes, fc.json(), damaged, bulk), readAll), {
      numRuns: 3000,
    });
    expect(readResponse(200, null, SUCCESS, NOW, 'single').kind).toBe('ok');
    expect(({} as Record<string, unknown>)['code']).toBeUndefined();
  }, 60_000);

  // Guards isTooDeep: JSON.stringify of the results file would end the program on older Nodes.
  it('take any depth and any length', () => {
    const deep = 100_000;
    for (const code of [200, 400]) {
      readAll(code, '['.repeat(deep) + ']'.repeat(deep));
      readAll(
        code,
        `{"code":"Success","successCount":1,"params":${'{"a":['.repeat(deep)}${']}'.repeat(deep)}}`,
      );
      readAll(code, `{"code":"x","msg":${JSON.stringify('"\\["{'.repeat(200_000))}}`);
      readAll(code, `{"failCount":1e999,"successCount":${'9'.repeat(100_000)}}`);
      readAll(
        code,
        '{"code":"no","code":"Success","__proto__":{"code":"Success"},"constructor":1}',
      );
    }
    const nested = '['.repeat(1_000) + ']'.repeat(1_000);
    // What is too deep to be read is not taken for Iterable's.
    expect(readResponse(400, null, nested, NOW, 'single').kind).toBe('retry');
    // Brackets within strings are no depth.
    const flat = `{"code":"Success","msg":${JSON.stringify('["\\{'.repeat(500))}}`;
    expect(readResponse(200, null, flat, NOW, 'single').kind).toBe('ok');
  });

  // Guards READ_CHARS_MAX and withoutAddresses, which a regular expression made quadratic.
  it('clean a message in linear time, and leave no part of an address in it', () => {
    for (const piece of ['a', '@', 'a@', '%40', '"', ' ', '\u0000', 'a@b.c ']) {
      const text = piece.repeat(2_000_000);
      inTime(() => cleanMessage(text));
      inTime(() => withoutAddresses(text));
      inTime(() => oneLine(text));
    }
    // oxlint-disable-next-line no-control-regex
    const local = fc.stringMatching(/^[a-z,:;=()'"+.!#$%&*/?^_`{|}~\u0001\u200E-]{1,20}$/);
    fc.assert(
      fc.property(local, fc.nat(4_100), (name, before) => {
        const kept = cleanMessage(`${'x '.repeat(before / 2)}no SECRET${name}TERCES@example.com.`);
        expect(kept).not.toMatch(/SECRET|TERCES|example/);
      }),
    );
  });

  it('find the time of Retry-After within its bounds, whatever stands there', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[\d.eE+:,A-Za-z -]{0,40}$/),
      fc.double().map(String),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const ms = inTime(() => readRetryAfter(text, NOW));
        if (ms === null) return;
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(600_000);
      }),
    );
    expect(readRetryAfter('9'.repeat(10_000), NOW)).toBeNull();
    expect(readRetryAfter(`${' '.repeat(100_000)}7`, NOW)).toBe(7_000);
  });
});

describe('plain text', () => {
  it('is one line, and JSON reads back as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.jsonValue(), (text, value) => {
        expect(oneLine(text)).not.toMatch(UNPRINTABLE);
        const json = plainJson({ text, value });
        expect(json).not.toMatch(UNPRINTABLE);
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify({ text, value })));
      }),
    );
  });

  it('holds no secret, also where it is written as in JSON or in a URL', () => {
    const remove = secretRemover(['pass"wörd/1', 'short', '']);
    for (const text of [
      'pass"wörd/1',
      JSON.stringify('pass"wörd/1'),
      encodeURIComponent('pass"wörd/1'),
    ]) {
      expect(remove(`<${text}>`)).toMatch(/^<"?\(secret\)"?>$/);
    }
    expect(remove('a short word')).toBe('a short word');
  });

  it('keeps what only looks like an address', () => {
    const text = "'user'@'%' @@GLOBAL.gtid_mode (node_modules/@scope/x/y.js:1:2) a @ b";
    expect(withoutAddresses(text)).toBe(text);
  });
});

describe('an address', () => {
  it('is usable only without spaces, control and format characters', () => {
    const usable = (email: string): boolean => hasUsableEmail({ email } as EligibleUser);
    for (const email of [
      "o'neil+tag@example.com",
      '"quoted"@example.com',
      'zoë@example.com',
      '李@例え.jp',
    ]) {
      expect(usable(email)).toBe(true);
    }
    for (const email of [
      'a b@example.com',
      'a\n@example.com',
      'a\u0000@example.com',
      'a\u001B[31m@example.com',
      '\u202Ea@example.com',
      '\uD800@example.com',
      'a@',
      '@b',
      'a@b@c',
      '',
    ]) {
      expect([email, usable(email)]).toEqual([email, false]);
    }
  });
});
